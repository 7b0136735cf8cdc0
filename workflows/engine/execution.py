"""Runs steps, and their rollbacks, as recorded activities."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

from stepway.workflows.engine.board import Board
from stepway.workflows.engine.kept_results import KeptResults
from stepway.workflows.engine.sizes import TaskRoom, checked_size
from stepway.workflows.engine.summaries import summary
from stepway.workflows.model.messages import InitializationInput
from stepway.workflows.model.plan import LEFT_OUT, PlannedStep, RetryPlan
from stepway.workflows.model.queues import task_queue
from stepway.workflows.model.references import resolve, resolve_present
from stepway_tracking.workflow.marks import tracked
from stepway_tracking.workflow.recording import WorkflowRecord

WORKER_SILENCE = 15.0
"""Heartbeat timeout in seconds of steps whose blueprint sets none: the worker heartbeats."""


class Execution:
    """Starts the activities of one initialization, with the project and resolved arguments."""

    def __init__(self, given: InitializationInput, board: Board, record: WorkflowRecord) -> None:
        self._project_id = given.project_id
        self._usual = given.usual
        self._board = board
        self._room = TaskRoom()
        self._kept = KeptResults(board, record, self._room)
        self._running: dict[str, workflow.ActivityHandle[Any]] = {}
        self._stopped = False
        self._project = {
            "id": given.project_id,
            "name": given.name,
            "owner": given.owner,
            "blueprint": given.plan.blueprint,
        }

    async def run(self, step: PlannedStep) -> Any:
        """Run a step; return its result.

        Raises ActivityError, ArgumentsTooLarge, or CancelledError after `stop`.
        """
        await self._kept.read(step.arguments)
        self._must_go_on()
        given = self._given(step.arguments, {})
        patch = f"sizes-{self._board.change_id(step.step, 'start')}"
        await self._room.take(checked_size(given, "step", patch), patch)
        self._must_go_on()
        slow_after = self._usual.get(step.step)
        beats = step.heartbeat is None
        with tracked(self._project_id, step.step, slow_after=slow_after, beats=beats):
            handle = self._start(step, step.uses, given, "")
        self._running[step.step] = handle
        try:
            return await handle
        finally:
            self._room.renew()
            del self._running[step.step]

    def stop(self) -> None:
        """Cancel the running steps and start no more."""
        self._stopped = True
        for handle in self._running.values():
            handle.cancel()

    async def undo(self, step: PlannedStep) -> None:
        """Roll a step back. Raises ActivityError, ArgumentsTooLarge."""
        if step.undo is None:
            return
        await self._kept.read(step.undo.arguments, step.step)
        result = {"result": self._board.results.get(step.step)}
        given = self._given(step.undo.arguments, result)
        patch = f"sizes-{self._board.change_id(step.step, 'undo')}"
        await self._room.take(checked_size(given, "rollback", patch), patch)
        beats = step.heartbeat is None
        with tracked(self._project_id, step.step, undo=True, beats=beats):
            handle = self._start(step, step.undo.uses, given, "Undo: ")
        try:
            await handle
        finally:
            self._room.renew()

    def _must_go_on(self) -> None:
        if self._stopped:
            raise asyncio.CancelledError

    def _start(
        self, step: PlannedStep, uses: str, given: dict[str, Any], prefix: str
    ) -> workflow.ActivityHandle[Any]:
        return workflow.start_activity(
            uses,
            given,
            task_queue=_task_queue(step),
            start_to_close_timeout=timedelta(seconds=step.timeout),
            heartbeat_timeout=timedelta(seconds=step.heartbeat or WORKER_SILENCE),
            retry_policy=retry_policy(step.retry),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=summary(prefix + self._board.title(step.step)),
        )

    def _given(self, arguments: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        return {**self._resolved(arguments), **more, "project": self._project}

    def _resolved(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if not self._board.omits_absent:
            return dict(resolve(arguments, self._board.results))
        given, left_out = resolve_present(arguments, self._board.results)
        return {**given, LEFT_OUT: left_out} if left_out else dict(given)


def _task_queue(step: PlannedStep) -> str | None:
    return task_queue(workflow.info().task_queue, step.queue) if step.queue else None


def retry_policy(retry: RetryPlan) -> RetryPolicy:
    """Convert the plan's retry policy to Temporal's."""
    return RetryPolicy(
        maximum_attempts=retry.maximum_attempts,
        initial_interval=timedelta(seconds=retry.initial_interval),
        backoff_coefficient=retry.backoff_coefficient,
        maximum_interval=timedelta(seconds=retry.maximum_interval),
    )
