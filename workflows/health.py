"""Tells whether workers can continue the running workflows, and if not, why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import WorkflowTaskFailedEventAttributes
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client
from temporalio.exceptions import FailureError
from temporalio.service import RPCError, RPCStatusCode

from stepway.workflows.model.messages import WORKFLOW
from stepway_tracking.record.errors import StepwayError

MISMATCH = (
    "The workers cannot continue this initialization: it was started by another version "
    "(TMPRL1100, non-determinism). Run workers of that version until it has ended."
)
_NEWEST = 10
"""Number of last events in a history that are searched for a failed workflow task."""

_JUDGED = 3
"""Number of the newest running initializations that tell a fault of the deployment."""

OTHER_KEYS = (
    "Run all workers and the API with the same keys. If a worker with another key has worked on "
    "this initialization, terminate its workflow in Temporal, then retry the initialization."
)

_OF_KEYS = {"Unsigned", "KeyMissing", "Undecipherable"}
_MISMATCHES = {*_OF_KEYS, "NotFoundError"}
"""Types of errors that mean that the workers have another key, or lack the type of workflow."""

_UNKNOWN_ATTRIBUTE = RPCStatusCode.INVALID_ARGUMENT


@dataclass(frozen=True)
class Failing:
    """The running initializations whose workflow tasks fail.

    `count` is the number of all, `reasons` has the reasons of the newest by workflow id.
    `deployment` is the reason if the workers do not fit what the newest were started with.
    """

    count: int = 0
    reasons: Mapping[str, str] = field(default_factory=dict)
    deployment: str | None = None


@dataclass(frozen=True)
class _Task:
    """The last workflow task of a workflow; `reason` is None if it was completed."""

    reason: str | None = None
    mismatch: bool = False


async def failing_workflows(client: Client, task_queue: str) -> Failing:
    """Find the running initializations whose workflow tasks fail repeatedly.

    Temporal's server marks them after some failures in a row; none where it is too old for that.
    Raises RPCError.
    """
    running = (
        f"WorkflowType = '{WORKFLOW}' AND ExecutionStatus = 'Running' "
        f"AND TaskQueue = {_quoted(task_queue)}"
    )
    marked = f"{running} AND TemporalReportedProblems IN ('category=WorkflowTaskFailed')"
    try:
        count = (await client.count_workflows(marked)).count
    except RPCError as error:
        if error.status is _UNKNOWN_ATTRIBUTE:
            return Failing()
        raise
    if not count:
        return Failing()
    # Temporal lists the newest first.
    failing = await _last_tasks(client, marked)
    newest = list((await _last_tasks(client, running)).values())
    mismatch = bool(newest) and all(task.mismatch for task in newest)
    return Failing(
        count,
        {workflow: task.reason for workflow, task in failing.items() if task.reason},
        newest[0].reason if mismatch else None,
    )


async def why_unanswered(client: Client, workflow_id: str) -> str | None:
    """Return why a workflow does not answer, as a sentence; None if it is only slow.

    Raises RPCError.
    """
    task = await _last_task(client, workflow_id)
    return task.reason if task else None


async def _last_tasks(client: Client, query: str) -> dict[str, _Task]:
    """The last workflow tasks of the newest workflows of a query; without those that had none."""
    found = [each.id async for each in client.list_workflows(query, limit=_JUDGED)]
    tasks = await asyncio.gather(*(_last_task(client, each) for each in found))
    return {workflow: task for workflow, task in zip(found, tasks, strict=True) if task}


async def _last_task(client: Client, workflow_id: str) -> _Task | None:
    newest = await client.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id),
            maximum_page_size=_NEWEST,
        )
    )
    for event in newest.history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            return _Task()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            return await _failed(client, event.workflow_task_failed_event_attributes)
    return None


async def _failed(client: Client, task: WorkflowTaskFailedEventAttributes) -> _Task:
    cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
    message, types = await _message(client, task.failure), set(_types(task.failure))
    if task.cause == cause or "TMPRL1100" in message:
        return _Task(MISMATCH, mismatch=True)
    reason = message or "Their log says why."
    remedy = f" {OTHER_KEYS}" if types & _OF_KEYS else ""
    return _Task(
        f"The workers cannot continue this initialization: {reason}{remedy}",
        mismatch=bool(types & _MISMATCHES),
    )


async def _message(client: Client, failure: Failure) -> str:
    """Return the message of a failure, which is encoded where there is an encryption key; or "".

    It cannot be decoded if it was encoded with a key that this process does not have.
    """
    copy = Failure()
    copy.CopyFrom(failure)
    try:
        found = await client.data_converter.decode_failure(copy)
    except StepwayError:
        return ""
    return found.message if isinstance(found, FailureError) else str(found)


def _types(failure: Failure) -> Iterator[str]:
    """The types of an error and of its causes."""
    yield failure.application_failure_info.type
    if failure.HasField("cause"):
        yield from _types(failure.cause)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
