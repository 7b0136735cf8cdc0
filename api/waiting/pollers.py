"""Tells when workers last asked for the work of a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from stepway.workflows.model.queues import task_queue, waits_of

_STEPS = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_WORKFLOWS = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW


async def last_asked(client: Client, base: str, queue: str) -> datetime | None:
    """Return when a worker of a queue last asked Temporal for work; None if none has for minutes.

    `base` is the task queue of the initializations, `queue` a name of blueprints, empty for `base`.
    A worker that has no free place for a step asks for no step; it still asks for steps that only
    wait, so it counts. A request may stay open for a minute. Raises RPCError.
    """
    named = [(task_queue(base, name), _STEPS) for name in (queue, waits_of(queue))]
    if not queue:
        named.append((base, _WORKFLOWS))
    asked = await asyncio.gather(*(_asked(client, name, kind) for name, kind in named))
    return max(chain.from_iterable(asked), default=None)


async def _asked(client: Client, name: str, kind: TaskQueueType.ValueType) -> Iterator[datetime]:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind
        )
    )
    return (each.last_access_time.ToDatetime(UTC) for each in answer.pollers)
