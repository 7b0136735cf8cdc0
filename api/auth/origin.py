"""Whether a browser sends a request for one of our own pages, or for somebody else's."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from stepway.api.auth.refusals import Forbidden
from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.setting_types import LOOPBACK

SAFE = {"GET", "HEAD", "OPTIONS"}

FOREIGN = "Requests from pages of another site are not allowed."


class Origins:
    """Where our own pages come from. `open_here` is set where nobody signs in."""

    def __init__(self, settings: ApiSettings, *, open_here: bool) -> None:
        self._public = urlsplit(settings.public_url)
        self._temporal_ui = origin_of(settings.temporal_ui_url)
        self._others = set(settings.cors_origins) if open_here else set()
        self._open_here = open_here

    def check_change(self, request: Request) -> None:
        """For what a browser sends of its own accord. Raises Forbidden for another site's page."""
        if request.method in SAFE:
            return
        origin = request.headers.get("origin")
        if origin is None:
            # Browsers name the origin of every change; other programs may leave it out.
            site = request.headers.get("sec-fetch-site", "none")
            if site not in ("none", "same-origin"):
                raise Forbidden(FOREIGN)
        elif not self._is_ours(origin, request):
            raise Forbidden(FOREIGN)

    def check_host(self, request: Request) -> None:
        """Where nobody signs in. Raises Forbidden for a name that somebody else gave this machine.

        Else any page could have its own name point here, and read everything as its own.
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
        if origin == self._temporal_ui and request.url.path.startswith("/api/codec/"):
            return True
        return self._open_here and parts.hostname in LOOPBACK


def origin_of(url: str) -> str:
    """The origin of a URL, empty for none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
