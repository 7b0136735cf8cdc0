"""Sends updates to a project's workflow and raises its refusals as typed errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from stepway.workflows.engine.board import default_text
from stepway.workflows.engine.search_attributes import cell
from stepway.workflows.engine.summaries import summary
from stepway.workflows.health import why_unanswered
from stepway.workflows.model import messages
from stepway.workflows.model.messages import InitializationInput
from stepway_tracking.record.errors import (
    NameTaken,
    NotConfirmed,
    Refused,
    StartExpired,
    StepUnknown,
    TemporalRefuses,
    TooLarge,
    WorkflowClosed,
)
from stepway_tracking.record.facts import ProjectStatus
from stepway_tracking.workflow import search_attributes

PATIENCE = 10.0
"""Seconds that a caller waits for Temporal and a worker."""

REASON_PATIENCE = 2.0
"""Seconds that finding out why there was no answer may take."""

_SIZE_PARTS = ("size exceeds", "exceeds size limit", "larger than max", "exceeded size limit")
"""Parts of the messages with which Temporal refuses what is too large, in lower case."""

_REFUSING = {
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.UNIMPLEMENTED,
    RPCStatusCode.OUT_OF_RANGE,
}
"""Answers that the same request would get again."""

DEADLINE = timedelta(seconds=8)
"""A workflow ignores an update that arrives later than this after the request. The rest of PATIENCE
is for the response and for differences between clocks."""

UNCONFIRMED = (
    "Not confirmed in time: Temporal, Postgres or all workers were unreachable. "
    "Check whether the request took effect before you try again."
)


class ParametersChanged(Exception):
    """Somebody else has changed the project's parameters, to these."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        super().__init__("Another request has just changed the parameters.")
        self.parameters = parameters


_KINDS: dict[str, type[Exception]] = {
    messages.NAME_TAKEN: NameTaken,
    messages.START_EXPIRED: StartExpired,
    messages.STEP_UNKNOWN: StepUnknown,
}


class Updates:
    """Sends updates to workflows; `page` is the public URL of the web page, if any.

    Both methods raise NotConfirmed if no response arrives in time, and Refused, NameTaken,
    StartExpired, StepUnknown or ParametersChanged if the workflow refuses.
    """

    def __init__(self, client: Client, task_queue: str, page: str = "") -> None:
        self._client = client
        self._task_queue = task_queue
        self._page = page

    async def send(self, workflow_id: str, name: str, argument: Any) -> None:
        """Send to the running workflow. Raises WorkflowClosed if none is running."""
        handle = self._client.get_workflow_handle(workflow_id)
        await self._answered(workflow_id, handle.execute_update(name, argument))

    async def send_with_start(
        self,
        workflow_id: str,
        name: str,
        argument: Any,
        given: InitializationInput,
        reuse: WorkflowIDReusePolicy,
        status: ProjectStatus = "initializing",
    ) -> None:
        """Send to the running workflow, or start it first; `status` is the project's so far."""
        operation = self._start_operation(workflow_id, given, reuse, status)
        arguments = [] if argument is None else [argument]
        try:
            await self._answered(
                workflow_id,
                self._client.execute_update_with_start_workflow(
                    name, args=arguments, start_workflow_operation=operation
                ),
            )
        except BaseException:
            # The start fails too. Awaited, so that asyncio does not log an unretrieved exception.
            await asyncio.gather(operation.workflow_handle(), return_exceptions=True)
            raise

    async def _answered(self, workflow_id: str, call: Awaitable[Any]) -> Any:
        """The answer of an update, or a typed error."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await call
        except WorkflowUpdateFailedError as error:
            raise_typed(error.cause, error)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            reason = await self._why_unanswered(workflow_id)
            raise NotConfirmed(reason or UNCONFIRMED) from error
        except WorkflowAlreadyStartedError as error:
            raise Refused("The initialization for this key has already ended.") from error
        except RPCError as error:
            raise _rpc_error(error) from error

    async def _why_unanswered(self, workflow_id: str) -> str | None:
        try:
            async with asyncio.timeout(REASON_PATIENCE):
                return await why_unanswered(self._client, workflow_id)
        except (TimeoutError, RPCError, RuntimeError):
            return None

    def _start_operation(
        self,
        workflow_id: str,
        given: InitializationInput,
        reuse: WorkflowIDReusePolicy,
        status: ProjectStatus,
    ) -> WithStartWorkflowOperation[Any, Any]:
        left_in_record = given.resumed and given.resumed.kept
        return WithStartWorkflowOperation(
            messages.WORKFLOW,
            messages.without_definition(given) if left_in_record else given,
            id=workflow_id,
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=reuse,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(search_attributes.PROJECT, given.name),
                    SearchAttributePair(search_attributes.BLUEPRINT, given.plan.blueprint),
                    SearchAttributePair(search_attributes.STATUS, status),
                ]
            ),
            static_summary=summary(f"{given.name} ({default_text(given.plan.title)})"),
            static_details=self._details(given),
        )

    def _details(self, given: InitializationInput) -> str:
        project = cell(given.name)
        if self._page:
            project = f"[{project}]({self._page}/projects/{given.project_id})"
        return (
            f"Project **{project}**, owner {cell(given.owner)}, blueprint "
            f"{given.plan.blueprint}, requested by {cell(given.actor)}. "
            f"Project ID `{given.project_id}`."
        )


def deadline() -> str:
    """Return the time, ISO 8601, after which the workflow must ignore a request made now."""
    return (datetime.now(UTC) + DEADLINE).isoformat()


def _rpc_error(error: RPCError) -> Exception:
    """What an error of Temporal's means for whoever asked."""
    if error.status is RPCStatusCode.NOT_FOUND:
        return WorkflowClosed("No workflow is running for this project.")
    if any(part in error.message.lower() for part in _SIZE_PARTS):
        return TooLarge(f"The request is larger than Temporal accepts: {error.message}")
    if error.status in _REFUSING:
        reason = error.message or error.status.name
        return TemporalRefuses(f"Temporal refused the request: {reason}")
    return NotConfirmed(UNCONFIRMED)


def raise_typed(cause: BaseException | None, error: Exception | None = None) -> NoReturn:
    """Raise the typed error for the error of workflow code."""
    kind = cause.type if isinstance(cause, ApplicationError) else None
    text = cause.message if isinstance(cause, ApplicationError) else str(cause)
    if kind == "AcceptedUpdateCompletedWorkflow":  # Closed from outside meanwhile.
        raise NotConfirmed(UNCONFIRMED) from error
    if isinstance(cause, ApplicationError) and kind == messages.PARAMETERS_CHANGED:
        raise ParametersChanged(cause.details[0]) from error
    raise _KINDS.get(kind or "", Refused)(text) from error
