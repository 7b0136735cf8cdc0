"""Sends requests over persistent connections, and measures the rate of responses."""

from __future__ import annotations

import asyncio
import random
import re
import time
from typing import cast

import uvloop

from benchmarks.measure import percentile
from benchmarks.sides.answering import answer

LENGTH = re.compile(rb"content-length: (\d+)\r\n", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """Requests random paths, one after the other, until the time `until`."""

    def __init__(self, requests: list[bytes], until: float) -> None:
        self._requests = requests
        self._until = until
        self._buffer = b""
        self._asked = 0.0
        self.seconds: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Send the next request when the response is complete."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = LENGTH.search(head + b"\r\n")
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            self._fail(ConnectionError(head.decode(errors="replace")))
        elif len(body) >= int(length[1]):
            self.seconds.append(time.monotonic() - self._asked)
            self._buffer = b""
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail, unless all requests are done."""
        self._fail(error or ConnectionError("the connection was closed"))

    def _ask(self) -> None:
        self._asked = time.monotonic()
        if self._asked < self._until:
            self._transport.write(random.choice(self._requests))
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


async def load(port: int, paths: list[str], connections: int, seconds: float) -> dict[str, float]:
    """Send requests for `seconds`; returns requests per second, and p50 and p99 in ms."""
    loop = asyncio.get_running_loop()
    requests = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths]
    until = time.monotonic() + seconds
    opened = [
        (await loop.create_connection(lambda: Connection(requests, until), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(each.done for each in opened))
    took = [one for each in opened for one in each.seconds]
    return {
        "rate": len(took) / seconds,
        "p50": percentile(took, 0.5) * 1000,
        "p99": percentile(took, 0.99) * 1000,
    }


if __name__ == "__main__":
    uvloop.run(answer({"load": load}))
