"""Serving the application by uvicorn, so that it stops at once and dead clients are let go."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

# Seconds to finish ordinary requests; streams are ended before that.
GRACE = 5
# Milliseconds after which Linux gives up a peer that takes nothing of what was sent.
DEAD_AFTER = 30_000


class Server(uvicorn.Server):
    """Ends the event streams first: uvicorn waits for open connections before the lifespan ends."""

    def __init__(self, app: FastAPI, *, log_level: str = "warning") -> None:
        config = uvicorn.Config(
            app,
            log_level=log_level,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            ws="none",
        )
        super().__init__(config)
        self._state = app.state

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: streams at once, other requests within the grace."""
        if (resources := getattr(self._state, "resources", None)) is not None:
            await resources.hub.close()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; its connections end when the peer is dead. Raises OSError in use."""
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
