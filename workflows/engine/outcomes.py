"""Ends steps as Temporal reports it. If the record differs, the record is right."""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from stepway.workflows.engine.board import Board
from stepway_tracking.record.changes import StepChange
from stepway_tracking.record.facts import AttemptOutcome
from stepway_tracking.workflow.recording import WorkflowRecord


class Outcomes:
    """Puts the end of each step on the board."""

    def __init__(self, board: Board, record: WorkflowRecord) -> None:
        self._board = board
        self._record = record

    async def finish(self, step: str, result: Any) -> None:
        """Complete a step with its result, or skip it if it had nothing to do."""
        # A step may return an object with this single field. The row tells the two apart.
        if isinstance(result, dict) and set(result) == {"skipped"} and await self._is_skipped(step):
            self._board.skip(step)
        else:
            self._board.complete(step, result)

    async def fail(
        self, *steps: str, error: str, outcome: AttemptOutcome, remedy: str = ""
    ) -> None:
        """Fail steps for which Temporal reports an error, or which were stopped.

        A step that the record calls completed is completed: only its answer was lost. A step that
        was stopped has its error as the `reason` in its metadata too.
        """
        metadata = {"reason": error} if outcome == "cancelled" else {}
        metadata |= {"remedy": remedy} if remedy else {}
        changes = [
            StepChange(
                step,
                "failed",
                change_id=self._board.change_id(step, "failed"),
                error=error,
                outcome=outcome,
                metadata=metadata or None,
            )
            for step in steps
        ]
        try:
            said = await self._record.write(*changes)
        except ApplicationError as refusal:
            error = f"{error}\nThe record refused this: {refusal.message}"
            said = []
        kept = [change.step for change, word in zip(changes, said, strict=False) if word == "kept"]
        for step in steps:
            if step in kept:
                await self._take_from_record(step)
            else:
                self._board.fail(step, error)

    async def _is_skipped(self, step: str) -> bool:
        if not workflow.patched("skipped-as-recorded"):
            return True
        return (await self._record.kept(step)).status == "skipped"

    async def _take_from_record(self, step: str) -> None:
        kept = await self._record.kept(step)
        if kept.status == "skipped":
            self._board.skip(step)
        else:
            self._board.complete(step, kept.result)
