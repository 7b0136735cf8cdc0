"""Helpers for tests of controls: queries to Temporal, waiting, and an immediate reconciliation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import ActivityEnvironment

from stepway.runtime.settings import Settings
from stepway_tracking.reconcile import reconciler
from stepway_tracking.reconcile.reconciler import Reconciler
from stepway_tracking.record.store import Store
from stepway_tracking.stream.publisher import Publisher, open_redis
from tests.support.processes import run
from tests.support.servers import Json, Stepway, eventually

Handle = WorkflowHandle[Any, Any]

CAUSED_BY_CONTROLS = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
)

TEMPORAL = str(Path(sys.executable).parent / "temporal")


def workflow_of(client: Client, project: str) -> Handle:
    """Return a handle of the newest run of a project's workflow."""
    return client.get_workflow_handle(f"initialize-{project}")


async def status_of(client: Client, project: str) -> WorkflowExecutionStatus | None:
    """Return the status of the newest run."""
    return (await workflow_of(client, project).describe()).status


async def run_and_events(client: Client, project: str) -> tuple[str | None, list[str]]:
    """Return the newest run's ID, and the events in its history that a control can cause, in order.

    Other events (workflow tasks, timers, search attributes) may still follow without a control.
    """
    handle = workflow_of(client, project)
    events = [each.event_type async for each in handle.fetch_history_events()]
    asked = [EventType.Name(each) for each in events if each in CAUSED_BY_CONTROLS]
    return (await handle.describe()).run_id, asked


async def activities_of(client: Client, project: str, run_id: str | None = None) -> list[str]:
    """Return the types of all activities that a run has scheduled, in order."""
    handle = client.get_workflow_handle(f"initialize-{project}", run_id=run_id)
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]


async def runs_of(client: Client, project: str) -> int:
    """Return the number of runs of the project's workflow."""
    return len([run async for run in client.list_workflows(f"WorkflowId='initialize-{project}'")])


async def until_closed(client: Client, project: str) -> WorkflowExecutionStatus:
    """Wait until the newest run is closed; return its status."""

    async def closed() -> WorkflowExecutionStatus | None:
        found = await workflow_of(client, project).describe()
        return found.status if found.close_time else None

    return await eventually(closed)  # type: ignore[no-any-return]


async def until_ended(stepway: Stepway, project: str, status: str) -> Json:
    """Wait until the initialization has ended with this status; return it."""

    async def ended() -> Json | None:
        found = await stepway.initialization(project)
        has_ended = found["project"]["initialization_completed_at"] is not None
        return found if has_ended and found["project"]["status"] == status else None

    return await eventually(ended)  # type: ignore[no-any-return]


async def until_swept(
    settings: Settings, pool: asyncpg.Pool, client: Client, stepway: Stepway, project: str
) -> Json:
    """Reconcile until a project has failed: Temporal's visibility may be late."""

    async def ended() -> Json | None:
        await sweep(settings, pool, client)
        found = await stepway.initialization(project)
        return found if found["project"]["initialization_completed_at"] is not None else None

    found: Json = await eventually(ended)
    assert found["project"]["status"] == "failed"
    return found


async def sweep(settings: Settings, pool: asyncpg.Pool, client: Client) -> None:
    """Reconcile now, without the usual wait for projects to be idle."""
    redis = open_redis(settings.redis_url)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reconciler, "STALLED_SECONDS", 0.0)
            sweeper = Reconciler(pool, Store(pool, Publisher(redis)), client)
            await ActivityEnvironment().run(sweeper.reconcile)
    finally:
        await redis.aclose()


async def temporal_cli(settings: Settings, *arguments: str) -> str:
    """Run the Temporal CLI; return its output."""
    address = ("--address", settings.temporal_address)
    status, said = await run(TEMPORAL, *arguments, *address)
    assert status == 0, said
    return said


def actions(history: list[Json], *, step: str | None = None) -> list[str]:
    """Return the actions in order, of one step or of all."""
    return [event["action"] for event in history if step is None or event["step"] == step]


def statuses(initialization: Json) -> dict[str, str]:
    """Return the status of each step, without sub-steps."""
    steps = initialization["steps"]
    return {step["step"]: step["status"] for step in steps if step["parent_step"] is None}
