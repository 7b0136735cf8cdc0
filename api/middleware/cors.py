"""CORS for the origins in the settings, and for Temporal's UI on the codec's routes."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from stepway.api.auth.origin import origin_of
from stepway.runtime.api_settings import ApiSettings

CODEC = "/api/codec/"


class Cors:
    """ASGI middleware with exact lists of origins. Only the Temporal UI may send cookies."""

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
                expose_headers=["Link", "Location", "Retry-After"],
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
        path = scope.get("path", "")
        app = self._codec if path.startswith(CODEC) else self._api
        await (app if path.startswith("/api/") else self._app)(scope, receive, send)
