"""Collects a project's data from Postgres and Temporal, without the API."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stepway.workflows.model.messages import workflow_id
from stepway_tracking.workflow.recording import KEPT, PLAN, RECORD, REQUEST_CANCEL
from tests.faults.checks import NOTHING, Completion, Json, Record, Tolerated
from tests.faults.hosts.blueprint import UNDO

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
COMPLETED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
WRITES = (PLAN, RECORD, KEPT, REQUEST_CANCEL)
ROLLBACKS = tuple(UNDO.values())
RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW


class Source(Protocol):
    """Postgres and Temporal of a run: a Cluster, or the servers of a test."""

    temporal: Client

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        """Return rows from Postgres."""
        ...


async def collect(cluster: Source, project: str, tolerated: Tolerated = NOTHING) -> Record:
    """Return a project's rows and the completed activities of all its runs."""
    [row] = await cluster.fetch(
        """
        SELECT stepway_project_json_v3(p)::text AS project,
               stepway_steps_json_v3(p.id)::text AS steps,
               (SELECT jsonb_agg(to_jsonb(a) - 'result')
                FROM project_initialization_attempts a WHERE a.project_id = p.id)::text
                 AS attempts,
               (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.version)
                FROM project_initialization_events e WHERE e.project_id = p.id)::text
                 AS events
        FROM projects p WHERE id = $1
        """,
        project,
    )
    project_row: Json = json.loads(row["project"])
    attempts: list[Json] = json.loads(row["attempts"] or "[]")
    last = await cluster.temporal.get_workflow_handle(workflow_id(project)).describe()
    runs = {last.run_id, project_row["run_id"], *(attempt["run_id"] for attempt in attempts)}
    histories = {
        run: await _history(cluster.temporal, workflow_id(project), run) for run in runs - {""}
    }
    return Record(
        project_row,
        json.loads(row["steps"]),
        attempts,
        json.loads(row["events"]),
        _completions(histories),
        last.run_id,
        last.status.name if last.status else "",
        {run for run, events in histories.items() if any(map(_is_reset, events))},
        await asyncio.to_thread(_code_runs, project_row["parameters"].get("folder")),
        tolerated,
    )


def _code_runs(folder: str | None) -> dict[str, int]:
    files = Path(folder).glob("*.runs") if folder else ()
    return {file.stem: len(file.read_text().splitlines()) for file in files}


async def _history(client: Client, workflow: str, run: str) -> Sequence[HistoryEvent]:
    """Return the events of a run; none if Temporal does not have it."""
    handle = client.get_workflow_handle(workflow, run_id=run)
    try:
        return (await handle.fetch_history()).events
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return []


def _is_reset(event: HistoryEvent) -> bool:
    return event.workflow_task_failed_event_attributes.cause == RESET


def _completions(histories: Mapping[str, Sequence[HistoryEvent]]) -> list[Completion]:
    """Merge completions: a reset run starts with a copy of the original's history."""
    found: dict[tuple[str, int], set[str]] = defaultdict(set)
    for run, events in histories.items():
        for key in _completed(events):
            found[key].add(run)
    return [Completion(activity, runs) for (activity, _), runs in found.items()]


def _completed(events: Sequence[HistoryEvent]) -> list[tuple[str, int]]:
    """Return the completed steps of one run: their activity IDs and times in nanoseconds.

    Writes of the record are local activities; in a long outage they become other ones. Rollbacks
    have no attempts.
    """
    scheduled = {
        event.event_id: event.activity_task_scheduled_event_attributes.activity_id
        for event in events
        if event.event_type == SCHEDULED
        and event.activity_task_scheduled_event_attributes.activity_type.name
        not in (*WRITES, *ROLLBACKS)
    }
    return [
        (
            scheduled[event.activity_task_completed_event_attributes.scheduled_event_id],
            event.event_time.ToNanoseconds(),
        )
        for event in events
        if event.event_type == COMPLETED
        and event.activity_task_completed_event_attributes.scheduled_event_id in scheduled
    ]
