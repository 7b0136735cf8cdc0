"""Measures the time from a change until all clients of a side receive it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count

from redis.asyncio import Redis

from benchmarks.child import Child
from benchmarks.initializations import marked
from benchmarks.measure import Metrics, percentile

MARKS = count(1)
FLOOR_CHANNEL = "floor"

Change = Callable[[int], Awaitable[float]]
"""Makes one change with a mark; returns the time at which the measurement starts."""


@dataclass
class Watched:
    """A side, its clients in another process, and a function that makes a change."""

    watchers: Child
    clients: int
    change: Change

    async def deliver(self) -> list[float]:
        """Make a change; returns the seconds until each client received it."""
        mark = next(MARKS)
        await self.watchers.ask("expect", mark=mark)
        began = await self.change(mark)
        return [at - began for at in await self.watchers.ask("received", count=self.clients)]

    async def deliver_and_wait(self) -> None:
        """Make a change and wait until all clients have received it."""
        mark = next(MARKS)
        await self.watchers.ask("expect", mark=mark)
        await self.change(mark)
        await self.watchers.ask("received", count=self.clients, brief=True)


async def alternate(sides: list[Watched], changes: int, pause: float) -> list[Metrics]:
    """Make `changes` changes at each side in turn; p50 and p99 over all clients in ms, by side."""
    took: list[list[float]] = [[] for _ in sides]
    for n in range(changes):
        for index in range(len(sides)):
            chosen = (index + n) % len(sides)
            took[chosen] += await sides[chosen].deliver()
            await asyncio.sleep(pause)
    return [
        {"p50": percentile(each, 0.5) * 1000, "p99": percentile(each, 0.99) * 1000} for each in took
    ]


def message(mark: int) -> bytes:
    """The message that Stepway publishes for such a change, for sides without a database."""
    return (
        b'{"data": {"step": {"step": "step_0", "message": "%s", "progress": 50, '
        b'"updated_at": "2026-01-01T00:00:00.000000+00:00"}, "version": %d, "progress": 6}, '
        b'"type": "step", "version": %d}'
    ) % (marked(mark).encode(), mark, mark)


def publish(redis: Redis) -> Change:
    """A change that only publishes a message on FLOOR_CHANNEL."""

    async def change(mark: int) -> float:
        began = time.monotonic()
        await redis.publish(FLOOR_CHANNEL, message(mark))
        return began

    return change
