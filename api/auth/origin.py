"""Rejects browser requests that come from pages of other sites."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from stepway.api.auth.refusals import Forbidden
from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.setting_types import LOOPBACK

SAFE = {"GET", "HEAD", "OPTIONS"}

CROSS_SITE = "Requests from pages of another site are not allowed."


class Origins:
    """The origins of our own pages."""

    def __init__(self, settings: ApiSettings, *, without_sign_in: bool) -> None:
        self._public = urlsplit(settings.public_url)
        self._temporal_ui = origin_of(settings.temporal_ui_url)
        self._others = set(settings.cors_origins) if without_sign_in else set()
        self._without_sign_in = without_sign_in

    def check_change(self, request: Request) -> None:
        """Guard against CSRF. Raises Forbidden for a change from another site's page."""
        if request.method in SAFE:
            return
        origin = request.headers.get("origin")
        if origin is None:
            # Browsers send Origin with every change; other clients may omit it.
            site = request.headers.get("sec-fetch-site", "none")
            if site not in ("none", "same-origin"):
                raise Forbidden(CROSS_SITE)
        elif not self._is_ours(origin, request):
            raise Forbidden(CROSS_SITE)

    def check_host(self, request: Request) -> None:
        """Guard against DNS rebinding, for deployments without sign-in. Raises Forbidden.

        Otherwise any site could point its own name at this machine and read all responses.
        """
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
        if host is None or host not in (*LOOPBACK, self._public.hostname):
            raise Forbidden(
                "Without sign-in, Stepway serves this machine only. Behind a proxy that "
                "authenticates users, set STEPWAY_PUBLIC_URL to the public address."
            )

    def _is_ours(self, origin: str, request: Request) -> bool:
        parts = urlsplit(origin)
        hosts = {request.headers.get("host"), self._public.netloc} - {"", None}
        if parts.netloc in hosts or origin in self._others:
            return True
        if origin and origin == self._temporal_ui and request.url.path.startswith("/api/codec/"):
            return True
        return self._without_sign_in and parts.hostname in LOOPBACK


def origin_of(url: str) -> str:
    """Return the origin of a URL; "" if the URL has no host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
