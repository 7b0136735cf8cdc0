"""The protocol between a bench and its sides: lines of JSON. Uses the standard library only."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Handlers = Mapping[str, Callable[..., Awaitable[Any]]]


async def answer(handlers: Handlers, **ready: Any) -> None:
    """Print `ready`, then handle requests until the bench ends or sends SIGTERM."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    loop.add_signal_handler(signal.SIGTERM, reader.feed_eof)
    answers = os.fdopen(os.dup(1), "w")
    # Redirect output of packages and native code to stderr: stdout is for answers only.
    os.dup2(2, 1)
    print(json.dumps(ready), file=answers, flush=True)
    while line := await reader.readline():
        done = await _answer(handlers, json.loads(line))
        print(json.dumps(done), file=answers, flush=True)


async def _answer(handlers: Handlers, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": await handlers[asked.pop("do")](**asked)}
    except Exception as error:  # noqa: BLE001 - the bench raises it
        return {"error": f"{type(error).__name__}: {error}"}
