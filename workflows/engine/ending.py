"""Stops running steps and rolls steps back when an initialization ends early."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from stepway.workflows.engine.board import Board
from stepway.workflows.engine.execution import Execution
from stepway.workflows.engine.failures import rollback_failure_text
from stepway.workflows.engine.outcomes import Outcomes
from stepway.workflows.engine.sizes import ArgumentsTooLarge
from stepway.workflows.model.messages import Cancel
from stepway_tracking.record.changes import StepChange
from stepway_tracking.record.facts import AttemptOutcome
from stepway_tracking.workflow.recording import WorkflowRecord

GRACE = timedelta(seconds=60)
"""Time that a cancelled step has to stop."""

Running = Mapping[str, asyncio.Task[None]]


@dataclass(frozen=True)
class RolledBack:
    """The outcome of a rollback: of `steps` completed steps, and failed ones with a partial
    rollback, how many could not be rolled back and how many have no rollback; `left_behind` says
    what may still exist and why.
    """

    steps: int
    failed: int
    without: int
    left_behind: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """The numbers, as the record has them."""
        done = self.steps - self.failed - self.without
        return {
            "steps": self.steps,
            "rolled_back": done,
            "failed": self.failed,
            "without": self.without,
        }

    @property
    def text(self) -> str | None:
        """The outcome for people; None if everything was rolled back."""
        counts = self.counts
        parts = [f"{counts['rolled_back']} of {_steps(self.steps)} rolled back"]
        if self.failed:
            parts.append(f"{self.failed} could not be")
        if self.without:
            parts.append(f"{self.without} {_have(self.without)} no rollback")
        said = ", ".join(parts) + "."
        is_whole = not (self.failed or self.without or self.left_behind)
        return None if is_whole else "\n".join([said, *self.left_behind])


class Ending:
    """Stops and rolls back steps, and records each."""

    def __init__(
        self, board: Board, execution: Execution, record: WorkflowRecord, outcomes: Outcomes
    ) -> None:
        self._board = board
        self._execution = execution
        self._record = record
        self._outcomes = outcomes

    async def stop(self, running: Running, reason: str) -> None:
        """Cancel the running steps and wait until they have stopped; uncompleted steps fail.

        A step that ignores the cancel is given up after GRACE. Its activity may still be running.
        """
        tasks = dict(running)
        self._execution.stop()
        if tasks:
            await self._until_stopped(tasks)
        given_up = [step for step in self._board.having("running") if _runs(tasks.get(step))]
        stopped = [step for step in self._board.having("running") if step not in given_up]
        if stopped:
            await self._outcomes.fail(*stopped, error=reason, outcome="cancelled")
        if given_up:
            error = (
                f"{reason} The step did not stop within {GRACE.total_seconds():g} s and was given "
                "up: it may still be running."
            )
            await self._outcomes.fail(*given_up, error=error, outcome="cancelled")

    async def skip_the_rest(self, cancel: Cancel, reason: str) -> None:
        """Skip the steps that have not run."""
        rest = self._board.having("pending")
        for step in rest:
            self._board.skip(step)
        skip = functools.partial(skipped, self._board, actor=cancel.actor, outcome="cancelled")
        changes = [skip(step, reason) for step in rest]
        if changes:
            await self._record.write(*changes)

    async def undo(self) -> RolledBack:
        """Roll back failed steps that can be, then completed ones, the last one first."""
        failures = [self._board.steps[step] for step in self._board.having("failed")]
        left_behind = [
            f"{self._board.title(step.step)} had failed and was not rolled back: what it had made "
            "by then may still exist."
            for step in failures
            if step.undo and not step.undo.partial
        ]
        partial = [step for step in reversed(failures) if step.undo and step.undo.partial]
        completed = [self._board.steps[step] for step in reversed(self._board.finished)]
        finished = [*partial, *completed]
        failed = 0
        for step in finished:
            try:
                await self._execution.undo(step)
                continue
            except ActivityError as error:
                reason = rollback_failure_text(error, step)
            except ArgumentsTooLarge as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001 (reported, and the others are rolled back)
                reason = f"{type(error).__name__}: {error}"
            failed += 1
            left_behind.append(f"{self._board.title(step.step)} was not rolled back: {reason}")
            await self._record.write(_undo_failed(self._board, step.step, reason))
        without = sum(step.undo is None for step in finished)
        return RolledBack(len(finished), failed, without, left_behind)

    async def _until_stopped(self, tasks: Running) -> None:
        grace = GRACE if workflow.patched("grace") else None
        try:
            await workflow.wait_condition(
                lambda: not any(_runs(task) for task in tasks.values()), timeout=grace
            )
        except TimeoutError:
            return


def _steps(number: int) -> str:
    return f"{number} step" if number == 1 else f"{number} steps"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _runs(task: asyncio.Task[None] | None) -> bool:
    return task is not None and not task.done()


def skipped(
    board: Board,
    step: str,
    reason: str,
    actor: str | None = None,
    outcome: AttemptOutcome | None = None,
) -> StepChange:
    """Return the change that skips a step. `outcome` is `cancelled` if a cancel skips it."""
    return StepChange(
        step,
        "skipped",
        change_id=board.change_id(step, "skipped"),
        actor=actor,
        outcome=outcome,
        metadata={"reason": reason},
    )


def _undo_failed(board: Board, step: str, reason: str) -> StepChange:
    undo = {"undo": {"status": "failed", "error": reason}}
    change_id = board.change_id(step, "undo_failed")
    return StepChange(step, "undo_failed", change_id=change_id, metadata=undo)
