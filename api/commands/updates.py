"""Sends updates to a project's workflow and raises its refusals as typed errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from temporalio.api.errordetails.v1 import WorkflowNotReadyFailure
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

from stepway.api.workflow_health import why_unanswered
from stepway.workflows.engine.board import default_text
from stepway.workflows.engine.search_attributes import cell
from stepway.workflows.engine.summaries import summary
from stepway.workflows.model import messages
from stepway.workflows.model.messages import Cancel, InitializationInput, Retry, Skip
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

RETRIEVING = 0.1
"""Seconds to wait for the exception of a failed start."""

_SIZE_PARTS = ("size exceeds", "exceeds size limit", "larger than max", "exceeded size limit")
"""Parts of the messages with which Temporal refuses what is too large, in lower case."""

_NO_NAMESPACE = re.compile(r"namespace .*not found", re.IGNORECASE)
"""The message of NOT_FOUND for a missing namespace; else the workflow is missing."""

_REFUSING = {
    RPCStatusCode.NOT_FOUND,
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


CLEARLY_AHEAD = timedelta(seconds=1)
"""Difference between two clocks that explains why a request was late."""

_CLOCKS = {messages.START_EXPIRED: "Postgres", messages.TOO_LATE: "Temporal"}
"""The server whose clock decides whether a request is late, by the error's type."""

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

    async def send(self, workflow_id: str, name: str, argument: Retry | Skip | Cancel) -> None:
        """Send to the running workflow. Raises WorkflowClosed if none is running."""
        handle = self._client.get_workflow_handle(workflow_id)
        call = handle.execute_update(name, argument)
        await self._answered(workflow_id, argument.deadline, call)

    async def send_with_start(
        self,
        workflow_id: str,
        name: str,
        argument: Any,
        given: InitializationInput,
        reuse: WorkflowIDReusePolicy,
        status: ProjectStatus = "initializing",
    ) -> Any:
        """Send to the running workflow, or start it first; return the update's result.

        `status` is the project's so far.
        """
        operation = self._start_operation(workflow_id, given, reuse, status)
        arguments = [] if argument is None else [argument]
        try:
            return await self._answered(
                workflow_id,
                given.deadline,
                self._client.execute_update_with_start_workflow(
                    name, args=arguments, start_workflow_operation=operation
                ),
            )
        except BaseException:
            await _retrieved(asyncio.create_task(operation.workflow_handle()))
            raise

    async def _answered(self, workflow_id: str, deadline: str, call: Awaitable[Any]) -> Any:
        """The answer of an update, or a typed error."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await call
        except WorkflowUpdateFailedError as error:
            raise_typed(error.cause, error, deadline)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            reason = await self._why_unanswered(workflow_id)
            raise NotConfirmed(reason or UNCONFIRMED) from error
        except WorkflowAlreadyStartedError as error:
            raise Refused("The initialization for this key has already ended.") from error
        except RPCError as error:
            if not _is_not_ready(error):
                raise _rpc_error(error) from error
            reason = await self._why_unanswered(workflow_id)
            raise NotConfirmed(reason or UNCONFIRMED) from error

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


async def _retrieved(start: asyncio.Task[Any]) -> None:
    """Retrieve the exception of a failed start, so that asyncio does not log it.

    The SDK tells some errors to the update alone, and leaves the start pending.
    """
    await asyncio.wait([start], timeout=RETRIEVING)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)


def deadline() -> str:
    """Return the time, ISO 8601, after which the workflow must ignore a request made now."""
    return (now() + DEADLINE).isoformat()


def now() -> datetime:
    """Return this server's time."""
    return datetime.now(UTC)


def _is_not_ready(error: RPCError) -> bool:
    """Whether the workflow's last task has failed: until the next one, Temporal takes no update."""
    details = error.grpc_status.details
    return any(each.Is(WorkflowNotReadyFailure.DESCRIPTOR) for each in details)


def _rpc_error(error: RPCError) -> Exception:
    """Return the typed error for an error of Temporal."""
    if error.status is RPCStatusCode.NOT_FOUND and not _NO_NAMESPACE.search(error.message):
        return WorkflowClosed("No workflow is running for this project.")
    if any(part in error.message.lower() for part in _SIZE_PARTS):
        return TooLarge(f"The request is larger than Temporal accepts: {error.message}")
    if error.status in _REFUSING:
        reason = error.message or error.status.name
        return TemporalRefuses(f"Temporal refused the request: {reason}")
    return NotConfirmed(UNCONFIRMED)


def raise_typed(
    cause: BaseException | None, error: Exception | None = None, deadline: str = ""
) -> NoReturn:
    """Raise the typed error for the error of workflow code; `deadline` is the request's."""
    kind = cause.type if isinstance(cause, ApplicationError) else None
    text = cause.message if isinstance(cause, ApplicationError) else str(cause)
    if kind == "AcceptedUpdateCompletedWorkflow":  # Closed from outside meanwhile.
        raise NotConfirmed(UNCONFIRMED) from error
    if isinstance(cause, ApplicationError) and kind == messages.PARAMETERS_CHANGED:
        raise ParametersChanged(cause.details[0]) from error
    if kind in _CLOCKS and deadline:
        text += _clock_hint(_CLOCKS[kind], deadline)
    raise _KINDS.get(kind or "", Refused)(text) from error


def _clock_hint(server: str, deadline: str) -> str:
    """Explain a deadline that has passed by the server's clock but not by this server's."""
    ahead = datetime.fromisoformat(deadline) - now()
    if ahead < CLEARLY_AHEAD:
        return ""
    return (
        f" The clock of {server} is at least {ahead.total_seconds():.0f} s ahead of the clock of "
        "this API server: synchronize both, for example with NTP."
    )
