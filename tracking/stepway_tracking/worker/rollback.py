"""Runs one attempt at rolling a step back and records it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from stepway_tracking.record.facts import StepAction
from stepway_tracking.worker.failures import (
    error_text,
    pause_before_retry,
    remedy_of,
    truncate,
)
from stepway_tracking.worker.recorded_attempt import RecordedAttempt
from stepway_tracking.worker.temporal_errors import error_for_temporal


class TrackedUndo(RecordedAttempt):
    """Runs a rollback activity. If no worker sees it fail, the workflow records the failure."""

    async def run(self, execute: Callable[[], Awaitable[Any]]) -> Any:
        """Execute the rollback. Raises its error, or ApplicationError if it was superseded."""
        await self._write("undo_started", {"status": "running"})
        try:
            result = await self._limits.hold(execute)
        except Exception as error:
            if pause_before_retry(error, self._info) is None and not self._limits.is_cancelled:
                text = " ".join(filter(None, [error_text(error), remedy_of(error)]))
                undo = {"status": "failed", "error": truncate(text)}
                await self._write("undo_failed", undo)
            told = error_for_temporal(error, self._converter, is_last=False)
            if told is error:
                raise
            raise told from told.__cause__
        await self._write("undone", {"status": "completed"})
        return result

    async def _write(self, action: StepAction, undo: dict[str, str]) -> None:
        await self._writer.write(self._writer.fenced_change(action, metadata={"undo": undo}))
