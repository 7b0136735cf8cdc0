"""Ends the record of initializations whose workflow was closed from outside.

No workflow code runs when a workflow is terminated, so it cannot record its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
)
from temporalio.service import RPCError, RPCStatusCode

from stepway_tracking.record.changes import Changes, ProjectChange, StepChange
from stepway_tracking.record.facts import EndStatus, StepAction
from stepway_tracking.record.store import Store
from stepway_tracking.workflow.recording import RECONCILE

log = logging.getLogger(__name__)

STALLED_SECONDS = 15.0
"""Seconds without a change after which Temporal is asked about a project."""

PAGE = 500
MAX_PARALLEL = 20


@dataclass(frozen=True)
class StalledProject:
    """A project that has not ended and has not changed for STALLED_SECONDS."""

    id: UUID
    workflow_id: str
    updated_at: datetime
    version: int
    running: list[str]
    pending: list[str]


@dataclass(frozen=True)
class ClosedRun:
    """The end of a workflow's newest run; `at` is the fence of the changes that record it."""

    run_id: str
    at: datetime
    cancelled: bool
    reason: str


class Reconciler:
    """Asks Temporal about stalled initializations, and ends those without a running workflow."""

    def __init__(self, pool: asyncpg.Pool, store: Store, client: Client) -> None:
        self._pool = pool
        self._store = store
        self._client = client

    def activities(self) -> Sequence[Callable[..., Any]]:
        """The activities to register with a worker."""
        return [self.reconcile]

    @activity.defn(name=RECONCILE)
    async def reconcile(self) -> int:
        """Check every stalled project; returns the number of projects that were ended."""
        closed = 0
        after = UUID(int=0)
        while page := await self._stalled_projects(after):
            gate = asyncio.Semaphore(MAX_PARALLEL)
            closed += sum(await asyncio.gather(*(self._close_if_dead(one, gate) for one in page)))
            after = page[-1].id
            activity.heartbeat(str(after))
        return closed

    async def _stalled_projects(self, after: UUID) -> list[StalledProject]:
        rows = await self._pool.fetch(
            """
            SELECT p.id, p.workflow_id, p.updated_at, p.version,
                   array_agg(s.step ORDER BY s.sequence) FILTER (WHERE s.status = 'running'),
                   array_agg(s.step ORDER BY s.sequence) FILTER (WHERE s.status = 'pending')
            FROM projects p JOIN project_initialization_steps s
              ON s.project_id = p.id AND s.parent_step IS NULL
            WHERE p.initialization_completed_at IS NULL AND p.id > $1
              AND p.updated_at < now() - make_interval(secs => $2)
            GROUP BY p.id ORDER BY p.id LIMIT $3
            """,
            after,
            STALLED_SECONDS,
            PAGE,
        )
        return [
            StalledProject(row[0], row[1], row[2], row[3], row[4] or [], row[5] or [])
            for row in rows
        ]

    async def _close_if_dead(self, project: StalledProject, gate: asyncio.Semaphore) -> bool:
        async with gate:
            closed = await self._closed_run(project)
            if closed is None:
                return False
            changes = closing_changes(project, closed)
            outcomes = [outcome.said for outcome in await self._store.record(changes)]
            log.info("Project %s: %s (%s)", project.id, closed.reason, ", ".join(outcomes))
            return outcomes[-1] == "applied"

    async def _closed_run(self, project: StalledProject) -> ClosedRun | None:
        handle = self._client.get_workflow_handle(project.workflow_id)
        try:
            found = await handle.describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            reason = "Temporal no longer has its workflow."
            return ClosedRun("", project.updated_at, False, reason)
        if found.close_time is None:
            return None
        cancelled = found.status is WorkflowExecutionStatus.CANCELED
        return ClosedRun(
            found.run_id, found.close_time, cancelled, await self._reason(handle, found)
        )

    async def _reason(
        self, handle: WorkflowHandle[Any, Any], found: WorkflowExecutionDescription
    ) -> str:
        status = found.status.name.lower().replace("_", " ") if found.status else "closed"
        text = f"Its workflow was {status} before the initialization ended"
        if found.status is not WorkflowExecutionStatus.TERMINATED:
            return f"{text}."
        events = handle.fetch_history_events(
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
        )
        async for event in events:
            terminated = event.workflow_execution_terminated_event_attributes
            by = f" by {terminated.identity}" if terminated.identity else ""
            return f"{text}{by}: {terminated.reason or 'no reason given'}."
        return f"{text}."


def closing_changes(project: StalledProject, closed: ClosedRun) -> Changes:
    """The changes that end the record of an initialization without a running workflow."""
    # Changes that are newer than the close come from a run that Temporal lost in a crash.
    fence = max(closed.at, project.updated_at).isoformat()
    seen = f"{closed.run_id}/reconciled/{project.version}"

    def change(step: str, action: StepAction, **fields: Any) -> StepChange:
        change_id = f"{seen}/{step}/{action}"
        return StepChange(
            step, action, fence=fence, change_id=change_id, version=project.version, **fields
        )

    steps = [
        change(step, "failed", error=closed.reason, outcome="lost") for step in project.running
    ]
    if closed.cancelled:
        metadata = {"reason": closed.reason}
        steps += [change(step, "skipped", metadata=metadata) for step in project.pending]
    status: EndStatus = "cancelled" if closed.cancelled else "failed"
    ending = ProjectChange(
        "reconciled",
        status,
        error=closed.reason,
        ends=True,
        fence=fence,
        change_id=seen,
        # The workflow may have ended normally after the record was read.
        version=project.version,
    )
    return Changes(str(project.id), steps, ending)
