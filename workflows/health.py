"""Tells whether workers can continue the running workflows, and if not, why."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stepway.workflows.model.messages import WORKFLOW

MISMATCH = (
    "The workers cannot continue this initialization: it was started by another version "
    "(TMPRL1100, non-determinism). Run workers of that version until it has ended."
)
_NEWEST = 10
"""Number of last events in a history that are searched for a failed workflow task."""

_UNKNOWN_ATTRIBUTE = RPCStatusCode.INVALID_ARGUMENT


async def failing_workflows(client: Client, task_queue: str) -> int:
    """Count the running initializations whose workflow tasks fail repeatedly.

    Temporal's server marks them after some failures in a row; 0 where it is too old for that.
    Raises RPCError.
    """
    query = (
        f"WorkflowType = '{WORKFLOW}' AND ExecutionStatus = 'Running' "
        f"AND TaskQueue = {_quoted(task_queue)} "
        "AND TemporalReportedProblems IN ('category=WorkflowTaskFailed')"
    )
    try:
        return (await client.count_workflows(query)).count
    except RPCError as error:
        if error.status is _UNKNOWN_ATTRIBUTE:
            return 0
        raise


async def why_unanswered(client: Client, workflow_id: str) -> str | None:
    """Return why a workflow does not answer, as a sentence; None if it is only slow.

    Raises RPCError.
    """
    newest = await client.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id),
            maximum_page_size=_NEWEST,
        )
    )
    for event in newest.history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            return None
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            failed = event.workflow_task_failed_event_attributes
            cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
            if failed.cause == cause or "TMPRL1100" in failed.failure.message:
                return MISMATCH
            return (
                "The workers cannot continue this initialization: "
                f"{failed.failure.message or 'their log says why'}"
            )
    return None


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
