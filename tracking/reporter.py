"""From a step's heartbeats to its row: the newest progress, written a few times a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from tracking.database import UNREACHABLE
from tracking.progress import Progress, SubStep

log = logging.getLogger(__name__)

INTERVAL = 0.2
"""Seconds between two writes of one step's progress."""

Write = Callable[[int, str, list[dict[str, Any]]], Awaitable[None]]
"""Takes the percentage, the message and the parts in the order in which they were named."""


class ProgressReporter:
    """Keeps the newest progress and writes it, at once when it can, the last one always."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._percent = 0
        self._message = ""
        self._parts: dict[str, SubStep] = {}
        self._task = asyncio.create_task(self._write_on())

    def report(self, progress: Progress) -> None:
        """Take a step's progress; from any thread."""
        self._loop.call_soon_threadsafe(self._take, progress)

    async def close(self) -> None:
        """Stop, leaving nothing unwritten that could be written."""
        await asyncio.sleep(0)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._flush()

    def _take(self, progress: Progress) -> None:
        self._percent = max(self._percent, min(progress.percent, 100))
        self._message = progress.message or self._message
        if progress.sub_step:
            self._parts[progress.sub_step.name] = progress.sub_step
        self._news.set()

    async def _write_on(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.shield(self._flush())
            await asyncio.sleep(INTERVAL)

    async def _flush(self) -> None:
        if not self._news.is_set():
            return
        self._news.clear()
        parts, self._parts = self._parts, {}
        try:
            await self._write(self._percent, self._message, [asdict(p) for p in parts.values()])
        except UNREACHABLE as error:
            self._parts = {**parts, **self._parts}
            self._news.set()
            log.warning("Progress is not written yet: %s", error)
