"""Serves the application with uvicorn: stops quickly and disconnects dead clients."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from stepway.api.auth.peers import Peers
from stepway.api.auth.socket_user import working_lookup
from stepway.api.middleware.own_user import marking
from stepway.runtime.supervision import depending_on

logger = logging.getLogger(__name__)

# Seconds that open requests get to finish at shutdown; streams are closed first.
GRACE = 5
# Seconds that an idle connection is kept open. Longer than usual in clients and load balancers, so
# that they close it first and never send a request on a connection that the server is closing.
KEEP_ALIVE = 75
# Milliseconds after which Linux drops a connection whose peer acknowledges no data.
DEAD_AFTER = 30_000
STARTUP_POLL = 0.02


class Server(uvicorn.Server):
    """A uvicorn server that closes all streams before it waits for open connections.

    `serving` runs the application's lifespan; its caller handles signals. Connections that `peers`
    does not admit are answered 403.
    """

    def __init__(self, app: FastAPI, peers: Peers | None = None) -> None:
        config = uvicorn.Config(
            app,
            http=marking(peers) if peers else "auto",
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
        """Close the streams at once; other requests get GRACE seconds."""
        resources = self._app.state.resources
        await asyncio.gather(resources.hub.close(), resources.log_hub.close())
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers unchanged."""
        yield


@asynccontextmanager
async def serving(
    app: FastAPI, listener: socket.socket, *, own_user_only: bool = False
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve while the context is open; yields the server's task.

    `own_user_only` refuses the other users of this machine, if the system can tell users apart.

    Raises the exceptions of the application's startup, and ServerError if the server ends by
    itself.
    """
    # With its own lifespan handling, uvicorn would only log why the application did not start.
    async with app.router.lifespan_context(app):
        server = Server(app, _own_peers() if own_user_only else None)
        task = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.wait([task], timeout=STARTUP_POLL)
            if task.done():
                await task
                return
        try:
            async with depending_on(task, "The HTTP server"):
                yield task
        finally:
            server.should_exit = True
            await asyncio.wait([task])
        await task


def _own_peers() -> Peers | None:
    lookup = working_lookup()
    if lookup is None:
        logger.warning(
            "This system does not say which user opened a connection, so all users of this machine "
            "can use this Stepway. To prevent that, set up sign-in: docs/how-to/sign-in.md."
        )
        return None
    return Peers.own(lookup)


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket that drops connections to dead peers.

    Port 0 selects a free port. Raises OSError if the port is in use.
    """
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Accepted connections inherit this option. Without it, unsent bytes in the kernel's buffer
        # keep a connection open for as long as a frozen peer does not close it.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
