"""Runs one attempt at rolling a step back and records it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from stepway_tracking.record.facts import LONGEST_MESSAGE, StepAction
from stepway_tracking.record.sentences import joined
from stepway_tracking.record.store import Outcome
from stepway_tracking.worker.failures import (
    error_text,
    is_asked_to_wait,
    next_attempt,
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
        start = await self._write("undo_started", {"status": "running"})
        try:
            self._check_bounds(start)
            result = await self._limits.hold(execute)
        except Exception as error:
            is_last = not is_asked_to_wait(error) and self._is_last_failure()
            if not self._limits.is_cancelled:
                await self._record_failure(error, is_last)
            told = error_for_temporal(error, self._converter, is_last=is_last)
            if told is error:
                raise
            raise told from told.__cause__
        await self._write("undone", {"status": "completed"})
        return result

    async def _record_failure(self, error: Exception, is_last: bool) -> None:
        text = truncate(joined(error_text(error), remedy_of(error)))
        pause = None if is_last else pause_before_retry(error, self._info)
        if pause is None:
            await self._write("undo_failed", {"status": "failed", "error": text})
            return
        undo = {"status": "running", "error": truncate(error_text(error), LONGEST_MESSAGE)}
        await self._write("undo_attempt_failed", undo | next_attempt(error, pause))

    async def _write(self, action: StepAction, undo: dict[str, Any]) -> Outcome:
        return await self._writer.write(self._writer.fenced_change(action, metadata={"undo": undo}))
