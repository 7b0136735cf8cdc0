"""Writes the record from workflow code, by local activities. The fence is the workflow's time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from stepway_tracking.record.changes import Changes, NewInitialization, ProjectChange, StepChange

PLAN = "stepway.plan"
RECORD = "stepway.record"
KEPT = "stepway.kept"
REQUEST_CANCEL = "stepway.request_cancel"
RECONCILE = "stepway.reconcile"

_PATIENCE = timedelta(seconds=30)
_RETRIES = RetryPolicy(maximum_interval=timedelta(seconds=5))

_AT_ONCE = RetryPolicy(maximum_attempts=3)
"""One local activity stays short: from 8 s on, its workflow task adds events to the history."""

_PAUSES = (2, 5, 10, 30, 60)
"""Seconds between local activities while Postgres is unreachable. After the last one, the write is
a normal activity: its attempts add no events, however long the outage lasts."""


@dataclass(frozen=True)
class Kept:
    """A step in the record: its status, and its result in the current round."""

    status: str
    result: Any = None


class WorkflowRecord:
    """Writes the plan of a workflow, and changes that no activity's interceptor can see.

    A change is applied once in a run, by its `change_id`. The id must describe the change: a
    retried workflow task may write in another order, so a counter would not identify it.

    A cancel does not interrupt a write: asyncio.CancelledError is raised after the write.
    """

    def __init__(self, project_id: str) -> None:
        self._project_id = project_id
        self._one_by_one = asyncio.Lock()

    async def plan(self, new: NewInitialization) -> None:
        """Insert the project and its steps, once.

        Raises ApplicationError (StartExpired, NameTaken).
        """
        await _insist(PLAN, new)

    async def write(self, *steps: StepChange, project: ProjectChange | None = None) -> list[str]:
        """Record changes in one transaction; waits while Postgres is unreachable.

        Returns the outcome of each change, in order: `applied`, `repeat`, `unchanged`,
        `superseded`, `unknown`, or `kept` for the failure of a step that has completed, whose
        result the method `kept` returns. Raises ApplicationError if Postgres refuses the changes.
        """
        now = workflow.now().isoformat()
        run_id = workflow.info().run_id
        changes = Changes(
            self._project_id,
            [_stamped(step, now, run_id) for step in steps],
            project and replace(_stamped(project, now, run_id), run_id=run_id),
        )
        # Concurrent writes are applied in the order of their calls.
        cancelled = await self._acquire()
        try:
            said: list[str] = await _insist(RECORD, changes, cancelled=cancelled)
        finally:
            self._one_by_one.release()
        return said

    async def kept(self, step: str) -> Kept:
        """Return a step from the record, for a result that Temporal did not deliver."""
        given = {"project_id": self._project_id, "step": step}
        return Kept(**await _insist(KEPT, given))

    async def request_cancel(self) -> None:
        """Ask Temporal to cancel this run, so that it closes as Cancelled."""
        await workflow.execute_local_activity(
            REQUEST_CANCEL,
            workflow.info().workflow_id,
            start_to_close_timeout=_PATIENCE,
            retry_policy=_RETRIES,
        )

    async def _acquire(self) -> bool:
        """Wait for the lock; return whether a cancel came meanwhile."""
        try:
            await self._one_by_one.acquire()
        except asyncio.CancelledError:
            # Unlike the lock, wait_condition raises while a worker evicts the workflow.
            await workflow.wait_condition(lambda: not self._one_by_one.locked())
            await self._one_by_one.acquire()
            return True
        return False


async def _insist(name: str, argument: Any, *, cancelled: bool = False) -> Any:
    """Run a local activity until it succeeds or is refused; then raise a cancel that came."""
    tries = 0
    while True:
        handle = _started(name, argument, local=tries < len(_PAUSES))
        try:
            while not handle.done():
                try:
                    await asyncio.shield(handle)
                except asyncio.CancelledError:
                    cancelled = True
            answer = handle.result()
            break
        except FailureError as error:
            if refusal := _refusal(error):
                raise refusal from None
        try:
            await workflow.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
        except asyncio.CancelledError:
            cancelled = True
        tries += 1
    if cancelled:
        raise asyncio.CancelledError
    return answer


def _started(name: str, argument: Any, *, local: bool) -> workflow.ActivityHandle[Any]:
    if local:
        return workflow.start_local_activity(
            name,
            argument,
            start_to_close_timeout=_PATIENCE,
            retry_policy=_AT_ONCE,
        )
    return workflow.start_activity(
        name, argument, start_to_close_timeout=_PATIENCE, retry_policy=_RETRIES
    )


def _refusal(error: BaseException) -> ApplicationError | None:
    """Return the non-retryable error of a failed activity; local activities do not wrap it."""
    cause = error.cause if isinstance(error, ActivityError) else error
    return cause if isinstance(cause, ApplicationError) and cause.non_retryable else None


_Change = TypeVar("_Change", StepChange, ProjectChange)


def _stamped(change: _Change, now: str, run_id: str) -> _Change:
    change_id = change.change_id and f"{run_id}/{change.change_id}"
    return replace(change, fence=now, change_id=change_id)
