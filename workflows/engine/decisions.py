"""Decisions of people about failed steps. Each is recorded before it takes effect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from stepway.workflows.engine import rules
from stepway.workflows.engine.board import Board
from stepway.workflows.model.messages import PARAMETERS_CHANGED, Retry, Skip, digest
from stepway_tracking.record.changes import ProjectChange, StepChange
from stepway_tracking.record.facts import ProjectAction
from stepway_tracking.workflow.recording import WorkflowRecord


class Decisions:
    """Takes one decision a step at a time.

    `count` says how many there were, `taken` how many of them in this run. `parameters` are those
    that the present plan was made with. `awaited` as long as a run that took up an ended
    initialization has no decision yet.
    """

    def __init__(
        self,
        board: Board,
        record: WorkflowRecord,
        parameters: dict[str, Any],
        *,
        awaited: bool,
        count: int = 0,
    ) -> None:
        self.awaited = awaited
        self.count = count
        self.taken = 0
        self.parameters = parameters
        self._board = board
        self._record = record
        self._deciding: set[str] = set()
        self._writing = 0

    @property
    def open(self) -> bool:
        """Return whether a decision is being recorded."""
        return self._writing > 0

    @property
    def retried_by_all(self) -> list[str]:
        """Return the failed steps; after the end of an initialization, all uncompleted ones."""
        chosen = self._board.retried_by_all(ended=self.awaited)
        return [step for step in chosen if step not in self._deciding]

    def check(self, step: str, verb: str) -> None:
        """Raise ApplicationError (StepUnknown, Refused) unless the step awaits a decision."""
        rules.must_be_failed(self._board, step, verb, ended=self.awaited)
        if step in self._deciding:
            rules.refuse(f"Another request is already retrying or skipping {step}.")

    def check_parameters(self, retry: Retry) -> None:
        """Raise ApplicationError (ParametersChanged) if a newer change would be overwritten."""
        if retry.based_on and retry.based_on != digest(self.parameters):
            raise ApplicationError(
                "Another request has just changed the parameters.",
                self.parameters,
                type=PARAMETERS_CHANGED,
            )

    async def retry(self, chosen: list[str], retry: Retry) -> None:
        """Reset these steps, and the steps that depend on them, to pending."""
        before = self._board.steps, self.parameters
        if retry.plan:
            self._board.replace_plan(retry.plan)
            self.parameters = retry.parameters or {}
        runs, again = self._board.runs_again(chosen)
        said = {"retry": {"actor": retry.actor, "parameters": retry.changes or {}}}
        changes = [
            StepChange(
                step,
                "retried",
                change_id=self._board.change_id(step, "retried"),
                actor=retry.actor,
                metadata=said,
            )
            for step in again
        ]
        try:
            await self._write(runs, changes, "retried", retry)
        except ApplicationError:
            if retry.plan and self.parameters is retry.parameters:
                self._board.steps, self.parameters = before
            raise
        for step in again:
            self._board.reset(step)

    async def skip(self, skip: Skip) -> None:
        """Skip a failed step."""
        change = StepChange(
            skip.step,
            "skipped",
            change_id=self._board.change_id(skip.step, "skipped"),
            actor=skip.actor,
            metadata={"reason": skip.reason, "skipped_by": skip.actor},
        )
        await self._write([skip.step], [change], "resumed", skip)
        self._board.skip(skip.step)

    async def _write(
        self,
        steps: list[str],
        changes: list[StepChange],
        action: ProjectAction,
        decision: Retry | Skip,
    ) -> None:
        """Record the decision; nobody else can decide on these steps meanwhile."""
        self.count += 1
        self.taken += 1
        self.awaited = False
        project = ProjectChange(
            action,
            "initializing",
            change_id=f"{action}/{_update_id()}",
            actor=decision.actor,
            parameters=decision.parameters if isinstance(decision, Retry) else None,
        )
        self._writing += 1
        self._deciding.update(steps)
        try:
            await until_accepted()
            await self._record.write(*changes, project=project)
        finally:
            self._deciding.difference_update(steps)
            self._writing -= 1
            self._board.changed = True


async def until_accepted() -> None:
    """In an update's handler: wait until history has the update.

    Until its first workflow task is completed an update is known to nobody but its caller. Where
    worker and caller are lost by then, the workflow never hears of it, whatever was written.
    """
    if workflow.patched("accepted-first"):
        await workflow.sleep(timedelta(milliseconds=1))


def _update_id() -> str:
    # After a lost workflow task, a number could belong to another decision.
    update = workflow.current_update_info()
    return update.id if update else ""
