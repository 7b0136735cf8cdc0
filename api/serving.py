"""Serving the application by uvicorn, so that it stops at once and dead clients are let go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

# Seconds to finish ordinary requests; streams are ended before that.
GRACE = 5
# Seconds that an idle connection is kept: longer than clients and balancers keep theirs, so that
# none sends a request into a connection that is just being closed.
KEEP_ALIVE = 75
# Milliseconds after which Linux gives up a peer that takes nothing of what was sent.
DEAD_AFTER = 30_000
STARTUP_POLL = 0.02


class Server(uvicorn.Server):
    """Ends the event streams before it waits for open connections.

    Signals and the application's lifespan are left to `serving`'s caller and `serving`.
    """

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=KEEP_ALIVE,
            ws="none",
        )
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: streams at once, other requests within the grace."""
        await self._app.state.resources.hub.close()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serving(app: FastAPI, listener: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """Serve while the context lasts; the task that serves is given, should anyone watch it.

    Raises what the application's own start raised.
    """
    # Not uvicorn's own lifespan: that would only log why the application did not start.
    async with app.router.lifespan_context(app):
        server = Server(app)
        task = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.wait([task], timeout=STARTUP_POLL)
            if task.done():
                await task
                return
        try:
            yield task
        finally:
            server.should_exit = True
            await task


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, whose connections end when their peer is dead.

    Port 0 is any free one. Raises OSError where the port is in use.
    """
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Accepted connections inherit it. A write that was given up leaves bytes in the kernel,
        # which would otherwise hold the connection for as long as a frozen peer keeps it open.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
