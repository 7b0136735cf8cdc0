"""Which other origins a browser may let in: those of the settings, and one for the codec."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from stepway.api.auth.origin import origin_of
from stepway.runtime.api_settings import ApiSettings

CODEC = "/api/codec/"


class Cors:
    """Exact lists only. Cookies go with no request of another site but the Temporal UI's."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._api: ASGIApp = app
        self._codec: ASGIApp = app
        if settings.cors_origins:
            self._api = CORSMiddleware(
                app,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
                expose_headers=["Location", "Retry-After"],
            )
        if temporal_ui := origin_of(settings.temporal_ui_url):
            self._codec = CORSMiddleware(
                app,
                allow_origins=[temporal_ui],
                allow_methods=["POST"],
                allow_headers=["Authorization", "Content-Type", "X-Namespace"],
                allow_credentials=True,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer preflights, and mark answers that the origin may read."""
        path = scope.get("path", "")
        app = self._codec if path.startswith(CODEC) else self._api
        await (app if path.startswith("/api/") else self._app)(scope, receive, send)
