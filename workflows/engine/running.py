"""The steps that run: starts them, and puts the end of each on the board."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from temporalio.exceptions import ActivityError, is_cancelled_exception

from stepway.workflows.engine.board import Board
from stepway.workflows.engine.execution import Execution
from stepway.workflows.engine.failures import (
    failure_outcome,
    failure_remedy,
    failure_text,
    unexpected_text,
    was_interrupted,
)
from stepway.workflows.engine.outcomes import Outcomes
from stepway.workflows.model.plan import PlannedStep
from stepway_tracking.record.facts import AttemptOutcome


class RunningSteps:
    """Runs each step in a task."""

    def __init__(self, board: Board, execution: Execution, outcomes: Outcomes) -> None:
        self._board = board
        self._execution = execution
        self._outcomes = outcomes
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped_because: str | None = None

    def __bool__(self) -> bool:
        """Return whether any step runs."""
        return bool(self._tasks)

    def start_what_is_ready(self) -> None:
        """Start the steps that wait for no other step."""
        for step in self._board.graph.ready(self._board.states):
            self._board.start(step)
            self._tasks[step] = asyncio.create_task(self._run(self._board.steps[step]))

    async def fail_what_was_lost(self) -> None:
        """Fail the steps that the board calls running; call it only if no step runs."""
        lost = self._board.having("running")
        if lost:
            error = "The workflow lost track of this step. The step may have run."
            await self._outcomes.fail(*lost, error=error, outcome="lost")

    @property
    def tasks(self) -> Mapping[str, asyncio.Task[None]]:
        """Return the task of each step that runs."""
        return self._tasks

    def expect_stop(self, reason: str) -> None:
        """From now on, a step that is cancelled or lost has not failed by itself."""
        self._stopped_because = reason

    async def _run(self, step: PlannedStep) -> None:
        name = step.step
        try:
            result = await self._execution.run(step)
            if self._board.states[name] == "running":
                await self._outcomes.finish(name, result)
        except ActivityError as error:
            is_stopped = self._stopped_because is not None and is_cancelled_exception(error)
            if self._board.states[name] == "running" and not is_stopped:
                text, outcome = self._why_it_failed(error, step)
                remedy = "" if outcome == "cancelled" else failure_remedy(error)
                await self._outcomes.fail(name, error=text, outcome=outcome, remedy=remedy)
        except Exception as error:  # noqa: BLE001 (otherwise the error is lost)
            if self._board.states[name] == "running":
                await self._outcomes.fail(name, error=unexpected_text(error), outcome="failed")
        finally:
            del self._tasks[name]
            self._board.changed = True

    def _why_it_failed(self, error: ActivityError, step: PlannedStep) -> tuple[str, AttemptOutcome]:
        if self._stopped_because is not None and was_interrupted(error):
            # Without the cancel, Temporal would have started another attempt.
            return self._stopped_because, "cancelled"
        return failure_text(error, step), failure_outcome(error)
