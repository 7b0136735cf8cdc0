"""Without sign-in, serves only the user that runs the process, and root."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import get_remote_addr

from stepway.api.auth.peers import Peers, own_user
from stepway.api.auth.socket_user import Address
from stepway.api.errors import problem

REFUSED = "stepway.refused_peer"
"""Key in the `state` of the ASGI scope of a connection that is not served."""

OPEN = {"/healthz"}
"""Paths that every user may read."""


class OwnUser:
    """ASGI middleware. Answers 403 on a connection that the server has marked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        marked = scope["type"] == "http" and REFUSED in scope.get("state", {})
        if marked and scope["path"] not in OPEN:
            detail = (
                f"This Stepway serves user {own_user()} only. Sign-in lets it serve others: "
                "docs/how-to/sign-in.md."
            )
            await problem(HTTPStatus.FORBIDDEN, detail)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def marking(peers: Peers) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol, which marks the connections that `peers` does not admit.

    The connection is checked once, when it is accepted: headers such as X-Forwarded-For change the
    client's address in the scope, and another user may get its port after it has ended.
    """

    class Marking(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            # The address of a TCP listener has a port.
            admitted = peers.admits(self.client, cast(Address | None, self.server))
            # If the connection ended during the lookup, that may have found a later one.
            if not admitted or get_remote_addr(transport) is None:
                self.app_state = {**self.app_state, REFUSED: True}

    return Marking
