"""Many clients of event streams in one process, at the lowest cost.

Each searches its stream for the mark of the expected change and stores its time of arrival. This
works with the streams of all sides, however they frame events.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from typing import cast

import uvloop

from benchmarks.sides.answering import answer

MARK = re.compile(rb"mark-(\d{6})")
MARK_LENGTH = 11
EVENT_END = re.compile(rb"\n\n|\r\n\r\n\r\n")
"""The end of an event. With CR LF it needs a third line end, that of the chunk: the head of the
response ends with two."""
OPENING_AT_ONCE = 200
PATIENCE = 60.0


@dataclass
class Arrivals:
    """The times at which clients received the expected mark; `changed` is set at each."""

    expected: int = -1
    times: list[float] = field(default_factory=list)
    live: int = 0
    lost: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, count: int, live: bool = False) -> None:
        """Wait until `count` clients have the mark, or are live. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while (self.live if live else len(self.times)) < count:
                self.changed.clear()
                await self.changed.wait()


class Stream(asyncio.Protocol):
    """One client: sends a request and reads the stream, or polls every `every` seconds if set."""

    def __init__(self, arrivals: Arrivals, request: bytes, every: float = 0.0) -> None:
        self._arrivals = arrivals
        self._request = request
        self._every = every
        self._tail = b""
        self._seen = -1
        self._live = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request, or start polling."""
        self.transport = cast(asyncio.Transport, transport)
        if self._every:
            loop = asyncio.get_running_loop()
            loop.call_later(random.uniform(0, self._every), self._ask)
        else:
            self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Search for the mark, including one that is split between two reads."""
        now = time.monotonic()
        text = self._tail + data
        self._tail = text[-MARK_LENGTH + 1 :]
        for found in MARK.finditer(text):
            mark = int(found[1])
            if mark == self._arrivals.expected and mark != self._seen:
                self._seen = mark
                self._arrivals.times.append(now)
                self._arrivals.changed.set()
        if not self._live and EVENT_END.search(text):
            self._live = True
            self._arrivals.live += 1
            self._arrivals.changed.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Count it: a bench that loses streams is not valid."""
        self._arrivals.lost += 1
        self._arrivals.live -= self._live

    def _ask(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(self._request)
            asyncio.get_running_loop().call_later(self._every, self._ask)


class Watchers:
    """The clients of this process; the public methods are requests of the bench."""

    def __init__(self) -> None:
        self._arrivals = Arrivals()
        self._streams: list[Stream] = []

    async def open(
        self, port: int, paths: list[str], count: int, every: float = 0.0, at_once: bool = False
    ) -> float:
        """Open `count` streams over the paths in turn; returns the seconds until all are live.

        A stream is live with its first event or comment.
        """
        began = time.monotonic()
        gate = asyncio.Semaphore(count if at_once else OPENING_AT_ONCE)
        requests = [_request(paths[n % len(paths)], bool(every)) for n in range(count)]
        goal = self._arrivals.live + count
        await asyncio.gather(*(self._open(gate, port, each, every) for each in requests))
        if not every:
            await self._arrivals.until(goal, live=True)
        return time.monotonic() - began

    async def expect(self, mark: int) -> None:
        """Clear the stored times and expect this mark."""
        self._arrivals.expected, self._arrivals.times = mark, []

    async def received(self, count: int, brief: bool = False) -> list[float]:
        """Wait until `count` clients have the mark; their times, with `brief` only the last."""
        await self._arrivals.until(count)
        times = self._arrivals.times
        return [max(times)] if brief else times

    async def lost(self) -> int:
        """Number of streams that ended without `close`."""
        return self._arrivals.lost

    async def close(self) -> None:
        """Abort all connections at the same moment, like a network failure."""
        for stream in self._streams:
            if stream.transport is not None:
                stream.transport.abort()
        self._streams.clear()
        await asyncio.sleep(0)
        self._arrivals.live = self._arrivals.lost = 0

    async def _open(self, gate: asyncio.Semaphore, port: int, request: bytes, every: float) -> None:
        loop = asyncio.get_running_loop()
        async with gate:
            _, stream = await loop.create_connection(
                lambda: Stream(self._arrivals, request, every), "127.0.0.1", port
            )
        self._streams.append(stream)


def _request(path: str, polls: bool) -> bytes:
    accept = "application/json" if polls else "text/event-stream"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n\r\n".encode()


async def main() -> None:
    """Handle requests of the bench."""
    watchers = Watchers()
    handlers = {
        name: getattr(watchers, name) for name in ("open", "expect", "received", "lost", "close")
    }
    await answer(handlers)


if __name__ == "__main__":
    uvloop.run(main())
