"""Writes the record from workflow code, by local activities. The fence is the workflow's time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

from stepway_tracking.record.changes import Changes, NewInitialization, ProjectChange, StepChange

PLAN = "stepway.plan"
RECORD = "stepway.record"
REQUEST_CANCEL = "stepway.request_cancel"
RECONCILE = "stepway.reconcile"

_PATIENCE = timedelta(seconds=30)
_RETRIES = RetryPolicy(maximum_interval=timedelta(seconds=5))


class WorkflowRecord:
    """Writes the plan of a workflow, and changes that no activity's interceptor can see.

    A change is applied once in a run, by its `change_id`. The id must describe the change: a
    retried workflow task may write in another order, so a counter would not identify it.
    """

    def __init__(self, project_id: str) -> None:
        self._project_id = project_id
        self._one_by_one = asyncio.Lock()

    async def plan(self, new: NewInitialization) -> None:
        """Insert the project and its steps, once.

        Raises ApplicationError (StartExpired, NameTaken): a local activity's own error comes bare.
        """
        await workflow.execute_local_activity(
            PLAN, new, start_to_close_timeout=_PATIENCE, retry_policy=_RETRIES
        )

    async def write(self, *steps: StepChange, project: ProjectChange | None = None) -> None:
        """Record changes in one transaction; waits while Postgres is unreachable."""
        now = workflow.now().isoformat()
        run_id = workflow.info().run_id
        changes = Changes(
            self._project_id,
            [_stamped(step, now, run_id) for step in steps],
            project and replace(_stamped(project, now, run_id), run_id=run_id),
        )
        # Keep the order of the calls, even if the workflow does not wait for each.
        async with self._one_by_one:
            await workflow.execute_local_activity(
                RECORD, changes, start_to_close_timeout=_PATIENCE, retry_policy=_RETRIES
            )

    async def request_cancel(self) -> None:
        """Ask Temporal to cancel this run, so that it closes as Cancelled."""
        await workflow.execute_local_activity(
            REQUEST_CANCEL,
            workflow.info().workflow_id,
            start_to_close_timeout=_PATIENCE,
            retry_policy=_RETRIES,
        )


_Change = TypeVar("_Change", StepChange, ProjectChange)


def _stamped(change: _Change, now: str, run_id: str) -> _Change:
    change_id = change.change_id and f"{run_id}/{change.change_id}"
    return replace(change, fence=now, change_id=change_id)
