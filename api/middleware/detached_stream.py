"""Sends event streams outside of the middleware (docs/decisions/0009)."""

from __future__ import annotations

from typing import Protocol

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

DETACHED = "stepway.detached"
"""Key of the ASGI scope under which a route leaves the rest of a started response."""


class DetachedResponse(Protocol):
    """The rest of a started response. The application either calls or closes it, once.

    With `keeps_scope` it still uses the request, so the request's scope must stay as it is.
    """

    @property
    def keeps_scope(self) -> bool: ...

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Send the rest of the response."""

    def close(self) -> None:
        """Release the resources; nothing more can be sent."""


class Application(FastAPI):
    """Sends the rest of a detached response after all middleware has returned.

    So an idle stream keeps no request, route or middleware frame in memory, and its events pass
    through none of them.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection. Raises the exceptions of the middleware and of the stream."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        rest = await self._start(scope, receive, send)
        if rest is not None:
            await rest(receive, send)

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> DetachedResponse | None:
        """Run the middleware and the route; return what the route has detached.

        They get a copy of the scope: uvicorn keeps the original until the response ends, so
        whatever they add to it would stay in memory for as long as the stream is open.
        """
        inner = {**scope, "state": dict(scope.get("state", {}))}
        try:
            await super().__call__(inner, receive, send)
        except BaseException:
            if (unsent := inner.pop(DETACHED, None)) is not None:
                unsent.close()
            raise
        rest: DetachedResponse | None = inner.pop(DETACHED, None)
        if rest is not None and not rest.keeps_scope:
            # The request and its state refer to each other. Without this, they stay in memory until
            # the garbage collector runs, which is rare in this process.
            inner["state"].clear()
            inner.clear()
        return rest
