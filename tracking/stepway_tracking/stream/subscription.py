"""One client's place in a project's events."""

from __future__ import annotations

import asyncio

from stepway_tracking.stream.event_log import EventLog, Lagged

KEEPALIVE = b": keep-alive\n\n"


class Subscription:
    """Where one client stands: a version, not events, so that a slow one costs the others nothing.

    `busy_since` is when it took bytes that it has not yet been able to write, None while it waits;
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

    def place(self, version: int, first: bytes | None = None) -> None:
        """Go on after a version, once `first` (a snapshot's frame) has been sent."""
        self.version = version
        self._first = first

    async def next(self) -> bytes | None:
        """The next bytes to send, None at the end. Calling it says that the last are written."""
        self.busy_since = None
        while not self._over():
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
        """Look again at the log."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def keep_alive(self) -> None:
        """Send a comment."""
        self._keepalive = True
        self.wake()

    def finish(self) -> None:
        """End the stream; the client goes on by its last id."""
        self._closing = True
        self.wake()

    def abandon(self) -> None:
        """End the stream although its last write is still under way."""
        if self.task is not None and not self.abandoned:
            self.abandoned = self.too_slow = True
            self.task.cancel()

    def _over(self) -> bool:
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
