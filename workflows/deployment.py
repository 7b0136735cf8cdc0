"""What a deployment needs in Temporal: search attributes and the sweep's schedule."""

from __future__ import annotations

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
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.service import RPCError, RPCStatusCode

from stepway.workflows import reconcile
from stepway_tracking.workflow.search_attributes import SEARCH_ATTRIBUTES

SWEEP_SCHEDULE = "stepway-reconcile"
SWEEP_INTERVAL = timedelta(seconds=20)


async def prepare_temporal(client: Client, task_queue: str) -> None:
    """Make what is missing; safe to repeat."""
    await _register_search_attributes(client)
    await _schedule_the_sweep(client, task_queue)


async def missing_in_temporal(client: Client) -> list[str]:
    """What `prepare_temporal` would make, in words; changes nothing."""
    missing = [f"the search attribute {name}" for name in await _missing_attributes(client)]
    try:
        await client.get_schedule_handle(SWEEP_SCHEDULE).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        missing.append(f"the schedule {SWEEP_SCHEDULE}")
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


async def _schedule_the_sweep(client: Client, task_queue: str) -> None:
    sweep = Schedule(
        action=ScheduleActionStartWorkflow(
            reconcile.NAME, id="stepway-reconcile", task_queue=task_queue
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=SWEEP_INTERVAL)]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=10)
        ),
    )
    try:
        await client.create_schedule(SWEEP_SCHEDULE, sweep)
    except ScheduleAlreadyRunningError:
        return
