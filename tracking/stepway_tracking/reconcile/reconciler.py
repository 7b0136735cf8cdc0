"""Ends the record of initializations whose workflow was closed from outside.

No workflow code runs when a workflow is terminated, so it cannot record its end. Each sweep asks
Temporal which workflows have closed since the previous one, and whether those of the projects whose
turn it is are still running. So its cost grows with what has changed, not with what is unfinished.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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

from stepway_tracking.reconcile.state import MOST_AGAIN, SweepState
from stepway_tracking.reconcile.unfinished import StalledProject, Unfinished
from stepway_tracking.reconcile.visibility import closed_workflows, running_workflows
from stepway_tracking.record.changes import Changes, ProjectChange, StepChange
from stepway_tracking.record.facts import EndStatus, StepAction
from stepway_tracking.record.store import Store
from stepway_tracking.workflow.recording import RECONCILE

log = logging.getLogger(__name__)

STALLED_SECONDS = 15.0
"""Seconds without a change after which a project is ended: its last write may be under way."""

OVERLAP = timedelta(minutes=5)
"""How far each sweep looks back before the previous one: visibility is updated later."""

PAGE = 500
MAX_PARALLEL = 20


@dataclass(frozen=True)
class ClosedRun:
    """The end of a workflow's newest run; `at` is the fence of the changes that record it."""

    run_id: str
    at: datetime
    cancelled: bool
    reason: str


class Reconciler:
    """Ends initializations without a running workflow.

    `types` are the types of the workflows that run initializations. Others are learned when their
    projects are looked at.
    """

    def __init__(
        self, pool: asyncpg.Pool, store: Store, client: Client, types: Sequence[str] = ()
    ) -> None:
        self._unfinished = Unfinished(pool)
        self._store = store
        self._client = client
        self._types = types

    def activities(self) -> Sequence[Callable[..., Any]]:
        """The activities to register with a worker."""
        return [self.reconcile]

    @activity.defn(name=RECONCILE)
    async def reconcile(self, last: Any = None) -> SweepState:
        """Look at what may have closed since the `last` sweep; without it, at every project.

        `last` is a SweepState as JSON; anything else is ignored, such as another version's.
        An error with one project is logged, and the next sweep looks at that project again. Raises
        the errors of Postgres and Temporal if nothing can be looked at.
        """
        before = SweepState.of(last)
        now = activity.info().scheduled_time
        since = datetime.fromisoformat(before.at) if before else None
        due = await self._unfinished.due(since, now, before.again if before else [])
        running = await running_workflows(self._client, due.values())
        types = sorted({*self._types, *(before.types if before else []), *running.values()})
        suspects = {each for each, workflow_id in due.items() if workflow_id not in running}
        if since is not None:
            closed = await closed_workflows(self._client, types, since - OVERLAP)
            suspects |= await self._unfinished.with_workflows(closed)
        ended, again = await self._settle(suspects)
        return SweepState(now.isoformat(), types, sorted(map(str, again))[:MOST_AGAIN], ended)

    async def _settle(self, suspects: Collection[UUID]) -> tuple[int, set[UUID]]:
        """End what has no running workflow; return how many, and what to look at again."""
        ended, again = 0, set[UUID]()
        for page in _pages(sorted(suspects), PAGE):
            gate = asyncio.Semaphore(MAX_PARALLEL)
            projects = await self._unfinished.with_steps(page)
            settled = await asyncio.gather(*(self._settled(one, gate) for one in projects))
            for project, outcome in zip(projects, settled, strict=True):
                ended += outcome is True
                if outcome is None:
                    again.add(project.id)
            activity.heartbeat()
        return ended, again

    async def _settled(self, project: StalledProject, gate: asyncio.Semaphore) -> bool | None:
        """Return whether the project was ended; None if it has to be looked at again."""
        if project.idle.total_seconds() < STALLED_SECONDS:
            return None
        async with gate:
            try:
                closed = await self._closed_run(project)
                return False if closed is None else await self._close(project, closed)
            except Exception:
                log.exception("Project %s cannot be reconciled now", project.id)
                return None

    async def _close(self, project: StalledProject, closed: ClosedRun) -> bool | None:
        outcomes = [
            outcome.said for outcome in await self._store.record(closing_changes(project, closed))
        ]
        log.info("Project %s: %s (%s)", project.id, closed.reason, ", ".join(outcomes))
        return True if outcomes[-1] == "applied" else None

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


def _pages(ids: Iterable[UUID], size: int) -> Iterator[list[UUID]]:
    listed = list(ids)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]


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
