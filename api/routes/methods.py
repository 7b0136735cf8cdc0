"""Answers the methods of the API's paths that no route handles: HEAD, and 405 for all others."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD = "stepway.head"
"""Key of the ASGI scope that says that a GET is really a HEAD: send no body."""


def add_methods(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Answer HEAD as GET without the body, and other methods with 405 and a complete `Allow`.

    Call this after the routers were included and before a route that matches every path.
    """
    methods: dict[str, set[str]] = {}
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                methods.setdefault(route.path, set()).update(route.methods or ())
    for path, allowed in methods.items():
        # Without `methods`, a route matches every method that the routes before it do not handle.
        app.router.routes.append(Route(path, OtherMethods(app.router, path, allowed)))


class OtherMethods:
    """ASGI app for the methods of one path that have no route."""

    def __init__(self, router: ASGIApp, path: str, allowed: set[str]) -> None:
        self.path = path
        self._router = router
        self._allowed = sorted(allowed | ({"HEAD"} if "GET" in allowed else set()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve HEAD. Raises HTTPException (405) for any other method."""
        scope["route"] = self
        if scope["method"] not in self._allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(self._allowed)})

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope["method"], scope[HEAD] = "GET", True
        try:
            await self._router(scope, receive, send_head)
        finally:
            scope["method"] = "HEAD"
