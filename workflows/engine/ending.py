"""How an initialization ends before its time: what runs is stopped, what was made taken back."""

from __future__ import annotations

import asyncio

from temporalio.exceptions import ActivityError

from stepway.workflows.engine.board import Board
from stepway.workflows.engine.execution import Execution
from stepway.workflows.engine.failures import failure_text
from stepway.workflows.model.messages import Cancel
from stepway_tracking.record.changes import StepChange
from stepway_tracking.workflow.recording import WorkflowRecord


class Ending:
    """Writes down each thing as it is stopped or undone."""

    def __init__(self, board: Board, execution: Execution, record: WorkflowRecord) -> None:
        self._board = board
        self._execution = execution
        self._record = record

    async def stop(self, running: list[asyncio.Task[None]], reason: str) -> None:
        """Cancel what runs and wait until it has stopped; what did not complete has failed."""
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        stopped = self._board.having("running")
        for step in stopped:
            self._board.fail(step, reason)
        changes = [
            StepChange(
                step,
                "failed",
                change_id=self._board.change_id(step, "failed"),
                error=reason,
                outcome="cancelled",
            )
            for step in stopped
        ]
        if changes:
            await self._record.write(*changes)

    async def skip_the_rest(self, cancel: Cancel, reason: str) -> None:
        """Leave out what has not run."""
        rest = self._board.having("pending")
        for step in rest:
            self._board.skip(step)
        changes = [skipped(self._board, step, reason, cancel.actor) for step in rest]
        if changes:
            await self._record.write(*changes)

    async def undo(self) -> list[str]:
        """Take the finished steps back, the last one first; what could not be, and why."""
        left_behind = []
        for step in reversed(self._board.finished):
            try:
                await self._execution.undo(self._board.steps[step])
            except ActivityError as error:
                reason = failure_text(error, self._board.steps[step])
                left_behind.append(f"{self._board.title(step)} was not rolled back: {reason}")
                await self._record.write(_undo_failed(self._board, step, reason))
        return left_behind


def skipped(board: Board, step: str, reason: str, actor: str | None = None) -> StepChange:
    """A step is left out, for a reason that people read."""
    change_id = board.change_id(step, "skipped")
    return StepChange(
        step, "skipped", change_id=change_id, actor=actor, metadata={"reason": reason}
    )


def _undo_failed(board: Board, step: str, reason: str) -> StepChange:
    undo = {"undo": {"status": "failed", "error": reason}}
    change_id = board.change_id(step, "undo_failed")
    return StepChange(step, "undo_failed", change_id=change_id, metadata=undo)
