"""The record as workflow code writes it: local activities, fenced by the server's time."""

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
    """What a workflow writes itself: the plan, and what no activity's interceptor can see.

    A change is applied once in a run by its `change_id`, which says what it is: a workflow task
    that is tried again may record in another order, so a mere number would not do.
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
        """Record changes in one transaction; waits for as long as Postgres is out of reach."""
        now = workflow.now().isoformat()
        run_id = workflow.info().run_id
        changes = Changes(
            self._project_id,
            [_stamped(step, now, run_id) for step in steps],
            project and replace(_stamped(project, now, run_id), run_id=run_id),
        )
        # In the order in which the workflow came to them, also where it does not wait.
        async with self._one_by_one:
            await workflow.execute_local_activity(
                RECORD, changes, start_to_close_timeout=_PATIENCE, retry_policy=_RETRIES
            )

    async def request_cancel(self) -> None:
        """Have Temporal cancel this run from outside, so that it closes as Cancelled."""
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
