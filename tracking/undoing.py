"""Taking a step back, recorded on the step's row around the undo activity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import activity

from tracking.attempt import clean, error_text, pause_before_retry
from tracking.changes import StepChange
from tracking.marks import StepMark
from tracking.store import Store


class TrackedUndo:
    """Runs an undo activity; the workflow records one that failed for good."""

    def __init__(self, store: Store, mark: StepMark, info: activity.Info) -> None:
        self._store = store
        self._mark = mark
        self._info = info

    async def run(self, execute: Callable[[], Awaitable[Any]]) -> Any:
        """Execute the undo. Raises what it raises."""
        await self._write("undo_started", {"status": "running"})
        try:
            result = await execute()
        except Exception as error:
            if pause_before_retry(error, self._info) is None:
                undo = {"status": "failed", "error": clean(error_text(error))}
                await self._write("undo_failed", undo)
            raise
        await self._write("undone", {"status": "completed"})
        return result

    async def _write(self, action: str, undo: dict[str, str]) -> None:
        info = self._info
        change = StepChange(
            step=self._mark.step,
            action=action,
            fence=info.current_attempt_scheduled_time.isoformat(),
            change_id=f"{info.workflow_run_id}/{info.activity_id}/{info.attempt}/{action}",
            metadata={"undo": undo},
        )
        await self._store.update_step_status(self._mark.project_id, change)
