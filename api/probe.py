"""Bounds how long a check may keep its caller waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

ABANDONED = 30.0
"""Seconds after which a check that has not ended is cancelled, and the next caller starts another.
Longer than a statement and its cancellation may take."""


class Probe(Generic[T]):
    """Runs a check, at most one at a time: callers that come meanwhile get the same result.

    A driver may wait for its server even while it is cancelled. So a caller that has waited long
    enough leaves the check alone; checks do not take up more and more connections either.
    """

    def __init__(self, check: Callable[[], Awaitable[T]]) -> None:
        self._check = check
        self._running: asyncio.Task[T] | None = None
        self._since = 0.0

    async def result(self, patience: float) -> T:
        """Return what the check returns; raise what it raises, or TimeoutError after `patience`
        seconds.
        """
        now = asyncio.get_running_loop().time()
        if self._running is None or self._running.done() or now - self._since > ABANDONED:
            self.cancel()
            self._running, self._since = asyncio.create_task(self._run()), now
            self._running.add_done_callback(_retrieved)
        running = self._running
        await asyncio.wait([running], timeout=patience)
        if not running.done():
            raise TimeoutError(f"no answer within {patience:g} s")
        return running.result()

    def cancel(self) -> None:
        """Cancel a check that runs, without waiting for it."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    async def _run(self) -> T:
        return await self._check()


def _retrieved(task: asyncio.Task[T]) -> None:
    """Retrieve the error: nobody may wait for it any more, and asyncio would log it."""
    if not task.cancelled():
        task.exception()
