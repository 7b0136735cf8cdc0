"""Sets up Temporal for a deployment: search attributes and the sweep's schedule."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from stepway.workflows import reconcile
from stepway_tracking.workflow.search_attributes import SEARCH_ATTRIBUTES

SWEEP_SCHEDULE = "stepway-reconcile"
SWEEP_INTERVAL = timedelta(seconds=20)
SWEEP_LIMIT = timedelta(minutes=10)
"""Maximum wait of a sweep for a worker: an abandoned task queue has none."""

NOTE = "deployment "
"""Prefix of the schedule's note, which names its deployment."""


async def prepare_temporal(client: Client, task_queue: str, deployment: str = "") -> None:
    """Create missing search attributes, and create or update the schedule; safe to repeat.

    `deployment` tells the deployments of one namespace apart: each has a schedule of its own.
    """
    await _register_search_attributes(client)
    await _schedule_the_sweep(client, task_queue, deployment)


async def missing_in_temporal(
    client: Client, task_queue: str = "", deployment: str = ""
) -> list[str]:
    """Describe what `prepare_temporal` would change; changes nothing."""
    missing = [f"the search attribute {name}" for name in await _missing_attributes(client)]
    for name in _schedule_ids(deployment):
        found = await _described(client, name)
        if found is None:
            return [*missing, f"the schedule {name}"]
        if _is_ours(found.schedule, deployment):
            action = found.schedule.action
            assert isinstance(action, ScheduleActionStartWorkflow)
            if task_queue and action.task_queue != task_queue:
                missing.append(f"the task queue {task_queue} in the schedule {name}")
            break
    return missing


async def _missing_attributes(client: Client) -> dict[str, IndexedValueType.ValueType]:
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return {
        key.name: IndexedValueType.ValueType(key.indexed_value_type.value)
        for key in SEARCH_ATTRIBUTES
        if key.name not in listed.custom_attributes
    }


async def _register_search_attributes(client: Client) -> None:
    missing = await _missing_attributes(client)
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )


async def _schedule_the_sweep(client: Client, task_queue: str, deployment: str) -> None:
    for name in _schedule_ids(deployment):
        sweep = _sweep(name, task_queue, deployment)
        try:
            await client.create_schedule(name, sweep)
        except ScheduleAlreadyRunningError:
            if await _update(client, name, sweep, deployment):
                return
        else:
            return


def _schedule_ids(deployment: str) -> list[str]:
    """Return the possible IDs of the schedule: the first deployment takes the plain one."""
    return [SWEEP_SCHEDULE, *([f"{SWEEP_SCHEDULE}-{deployment}"] if deployment else [])]


def _sweep(name: str, task_queue: str, deployment: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            reconcile.NAME, id=name, task_queue=task_queue, execution_timeout=SWEEP_LIMIT
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=SWEEP_INTERVAL)]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=10)
        ),
        state=ScheduleState(note=deployment and NOTE + deployment),
    )


def _is_ours(schedule: Schedule, deployment: str) -> bool:
    """Return whether the schedule is this deployment's, or from before they had notes."""
    note = schedule.state.note or ""
    return not deployment or not note.startswith(NOTE) or note == NOTE + deployment


async def _update(client: Client, name: str, sweep: Schedule, deployment: str) -> bool:
    """Update an existing schedule; return False if it belongs to another deployment."""
    ours = False

    def change(given: ScheduleUpdateInput) -> ScheduleUpdate | None:
        nonlocal ours
        before = given.description.schedule
        ours = _is_ours(before, deployment)
        if not ours:
            return None
        # An operator may have paused it.
        state = dataclasses.replace(before.state, note=sweep.state.note or before.state.note)
        return ScheduleUpdate(dataclasses.replace(sweep, state=state))

    await client.get_schedule_handle(name).update(change)
    return ours


async def _described(client: Client, name: str) -> ScheduleDescription | None:
    try:
        return await client.get_schedule_handle(name).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
