"""Taking a step back, recorded on the step's row around the undo activity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import activity

from tracking.failing import clean, error_text, pause_before_retry
from tracking.marks import StepMark
from tracking.store import Store
from tracking.writing import AttemptWriter


class TrackedUndo:
    """Runs an undo activity; the workflow records one that no interceptor saw fail."""

    def __init__(
        self, store: Store, mark: StepMark, info: activity.Info, heartbeat: Callable[[], None]
    ) -> None:
        self._info = info
        self._writer = AttemptWriter(store, mark, info, heartbeat)

    async def run(self, execute: Callable[[], Awaitable[Any]]) -> Any:
        """Execute the undo. Raises what it raises; an ApplicationError when it came too late."""
        await self._write("undo_started", {"status": "running"})
        try:
            result = await execute()
        except Exception as error:
            if pause_before_retry(error, self._info) is None and not activity.is_cancelled():
                undo = {"status": "failed", "error": clean(error_text(error))}
                await self._write("undo_failed", undo)
            raise
        await self._write("undone", {"status": "completed"})
        return result

    async def _write(self, action: str, undo: dict[str, str]) -> None:
        await self._writer.write(self._writer.fenced(action, metadata={"undo": undo}))
