"""From a step's heartbeats to its row: the newest progress, written a few times a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Any

import asyncpg

from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.changes import StepChange
from stepway_tracking.record.facts import LONGEST_MESSAGE
from stepway_tracking.record.progress import Progress, SubStep
from stepway_tracking.worker.failures import clean

log = logging.getLogger(__name__)

INTERVAL = 0.2
"""Seconds between two writes of one step's progress."""

Write = Callable[[StepChange], Awaitable[Any]]


class ProgressReporter:
    """Keeps the newest progress and writes it, at once when it can.

    `change` is what is written, to be filled with progress, message, and the parts in the order in
    which they were named.
    """

    def __init__(self, write: Write, change: StepChange) -> None:
        self._write = write
        self._change = change
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._percent = 0
        self._message = ""
        self._parts: dict[str, SubStep] = {}
        self._task = asyncio.create_task(self._write_on())

    def report(self, progress: Progress) -> None:
        """Take a step's progress; from any thread."""
        self._loop.call_soon_threadsafe(self._take, progress)

    async def close(self) -> StepChange | None:
        """Stop, once what is being written is in; what is left to write."""
        await asyncio.sleep(0)
        async with self._flushing:
            self._task.cancel()
        return self._take_news()

    def _take(self, progress: Progress) -> None:
        self._percent = max(self._percent, min(progress.percent, 100))
        self._message = progress.message or self._message
        if progress.sub_step:
            self._parts[progress.sub_step.name] = progress.sub_step
        self._news.set()

    async def _write_on(self) -> None:
        while True:
            await self._news.wait()
            async with self._flushing:
                await self._flush()
            await asyncio.sleep(INTERVAL)

    async def _flush(self) -> None:
        parts = self._parts
        change = self._take_news()
        if change is None:
            return
        try:
            await self._write(change)
        except (*UNREACHABLE, asyncpg.PostgresError) as error:
            self._parts = {**parts, **self._parts}
            self._news.set()
            log.warning("Progress of %s is not written yet: %r", change.step, error)

    def _take_news(self) -> StepChange | None:
        if not self._news.is_set():
            return None
        self._news.clear()
        parts, self._parts = self._parts, {}
        return replace(
            self._change,
            progress=self._percent,
            message=clean(self._message, LONGEST_MESSAGE),
            sub_steps=[asdict(part) for part in parts.values()],
        )
