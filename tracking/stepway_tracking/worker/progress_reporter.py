"""Writes the newest progress of a step to its row, a few times a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Any

from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.changes import StepChange
from stepway_tracking.record.facts import LONGEST_MESSAGE
from stepway_tracking.record.progress import Progress, SubStep
from stepway_tracking.worker.failures import truncate

log = logging.getLogger(__name__)

INTERVAL = 0.2
"""Seconds between two writes of a step's progress."""

Write = Callable[[StepChange], Awaitable[Any]]


class ProgressReporter:
    """Keeps the newest progress and writes it, at most once per INTERVAL.

    `change` is a template: each write is a copy of it with the progress, the message, and the
    sub-steps in the order of their first report.
    """

    def __init__(self, write: Write, change: StepChange) -> None:
        self._write = write
        self._change = change
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._write_lock = asyncio.Lock()
        self._percent = 0
        self._message = ""
        self._parts: dict[str, SubStep] = {}
        self._task = asyncio.create_task(self._write_loop())

    def report(self, progress: Progress) -> None:
        """Record a step's progress, which ProgressReader has read. Safe to call from any thread."""
        self._loop.call_soon_threadsafe(self._take, progress)

    async def close(self) -> StepChange | None:
        """Wait for the current write, then stop; returns the change that is not written yet."""
        await asyncio.sleep(0)
        async with self._write_lock:
            self._task.cancel()
        return self._take_change()

    def _take(self, progress: Progress) -> None:
        self._percent = max(self._percent, progress.percent)
        self._message = progress.message or self._message
        if progress.sub_step:
            self._parts[progress.sub_step.name] = progress.sub_step
        self._changed.set()

    async def _write_loop(self) -> None:
        while True:
            await self._changed.wait()
            async with self._write_lock:
                await self._flush()
            await asyncio.sleep(INTERVAL)

    async def _flush(self) -> None:
        parts = self._parts
        change = self._take_change()
        if change is None:
            return
        try:
            await self._write(change)
        except UNREACHABLE as error:
            self._parts = {**parts, **self._parts}
            self._changed.set()
            log.warning("Progress of %s is not written yet: %r", change.step, error)
        except Exception as error:  # noqa: BLE001 - progress never decides the step's outcome
            log.warning("Progress of %s was refused and is left out: %r", change.step, error)

    def _take_change(self) -> StepChange | None:
        if not self._changed.is_set():
            return None
        self._changed.clear()
        parts, self._parts = self._parts, {}
        return replace(
            self._change,
            progress=self._percent,
            message=truncate(self._message, LONGEST_MESSAGE),
            sub_steps=[asdict(part) for part in parts.values()],
        )
