"""Serves an ASGI application as a side, like Stepway's API: one process, uvicorn, uvloop."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

from benchmarks.sides.answering import Handlers, answer


async def serve(app: Any, handlers: Handlers | None = None) -> None:
    """Serve on a free port until the bench ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, server_header=False, ws="none"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve([listener]))
    while not server.started:
        await asyncio.wait([serving], timeout=0.01)
        if serving.done():
            await serving
    await answer(handlers or {}, port=listener.getsockname()[1])
    server.should_exit = server.force_exit = True
    await serving
