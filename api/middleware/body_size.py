"""Rejects requests whose Content-Length is too large, before their body is read."""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from stepway.api.auth.limits import CODEC_BYTES, REQUEST_BYTES
from stepway.api.errors import problem
from stepway.api.middleware.cors import CODEC


class SizeLimit:
    """ASGI middleware. FastAPI itself limits bodies without Content-Length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            largest = CODEC_BYTES if scope["path"].startswith(CODEC) else REQUEST_BYTES
            length = Headers(scope=scope).get("content-length", "0")
            if not length.isdecimal() or int(length) > largest:
                detail = f"The request body must not exceed {largest} bytes."
                answer = problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
