"""One client's position in a project's event log."""

from __future__ import annotations

import asyncio

from stepway_tracking.stream.event_log import EventLog, Lagged

KEEPALIVE = b": keep-alive\n\n"


class Subscription:
    """One client's stream: it stores a version and no events, so slow clients use no extra memory.

    `busy_since` is the time (of the event loop) when the present write began, None between writes.
    `sent` counts events.
    """

    __slots__ = (
        "_closing",
        "_first",
        "_keepalive",
        "_log",
        "_loop",
        "_waiter",
        "abandoned",
        "busy_since",
        "expires_at",
        "last_write",
        "sent",
        "task",
        "too_slow",
        "version",
    )

    def __init__(self, log: EventLog, *, now: float, expires_at: float) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self.version = 0
        self.last_write = now
        self.expires_at = expires_at
        self.busy_since: float | None = None
        self.task: asyncio.Task[object] | None = None
        self.abandoned = False
        self.too_slow = False
        self.sent = 0
        self._first: bytes | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closing = False
        self._keepalive = False

    def start(self, version: int, first: bytes | None = None) -> None:
        """Continue after a version; `first`, the frame of a snapshot, is sent first."""
        self.version = version
        self._first = first

    async def next(self) -> bytes | None:
        """Wait for the next bytes to send; None at the end. The call confirms the last write."""
        self.busy_since = None
        while not self._has_ended():
            try:
                chunk = self._take()
            except Lagged:
                self.too_slow = True
                return None
            if chunk is not None:
                self.last_write = self.busy_since = self._loop.time()
                return chunk
            self._waiter = self._loop.create_future()
            await self._waiter
        return None

    def wake(self) -> None:
        """Notify the stream of new events in the log."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def keep_alive(self) -> None:
        """Send a keep-alive comment."""
        self._keepalive = True
        self.wake()

    def finish(self) -> None:
        """End the stream; the client reconnects with its last event id."""
        self._closing = True
        self.wake()

    def abandon(self) -> None:
        """Abort the stream during a write that does not finish."""
        if self.task is not None and not self.abandoned:
            self.abandoned = self.too_slow = True
            self.task.cancel()

    def _has_ended(self) -> bool:
        if self._closing:
            return True
        at_end = self._log.ended and self.version == self._log.version
        return at_end and self._first is None

    def _take(self) -> bytes | None:
        if self._first is not None:
            first, self._first = self._first, None
            self.sent += 1
            return first
        if self.version < self._log.version:
            chunk, version = self._log.after(self.version)
            self.sent += version - self.version
            self.version = version
            return chunk
        keepalive, self._keepalive = self._keepalive, False
        return KEEPALIVE if keepalive else None
