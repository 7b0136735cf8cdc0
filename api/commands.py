"""Start, retry, skip, cancel: each is taken whole by the project's workflow, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID, uuid5

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

from api.records import ProjectRecord, Records, resumed_state
from blueprints.catalog import Catalog
from blueprints.models import Blueprint
from blueprints.parameters import changed_parameters, complete_parameters
from blueprints.planning import make_plan
from tracking.durations import Durations
from tracking.errors import KeyReused, NameTaken, NotConfirmed, Refused, StartExpired, StepUnknown
from workflows import messages, operators
from workflows.board import default_text
from workflows.messages import Cancel, InitializationInput, Retry, Skip
from workflows.plan import Graph, Plan, RetryPreview

KEYS = UUID("6f0e6b0c-5a5f-4a55-9f7e-7f2f5a1d9c11")
"""The namespace of project ids, which are uuid5 of owner and idempotency key."""

PATIENCE = 10.0
"""Seconds that a caller waits for Temporal and a worker."""

DEADLINE = timedelta(seconds=8)
"""What reaches a workflow later than this after it was asked for does nothing: the rest of
PATIENCE is for the answer's way, and for clocks that differ."""

FEWEST_SAMPLES = 20
"""Completed runs of a step before any is called slow."""

UNCONFIRMED = "Temporal, Postgres or every worker was out of reach; nothing was changed. Try again."


@dataclass(frozen=True)
class NewProject:
    """What a person asks for."""

    name: str
    blueprint: str
    parameters: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The same for the same request."""
        body = [self.name, self.blueprint, dict(self.parameters)]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class Commands:
    """Turns requests into updates of the project's workflow.

    Everything raises NotConfirmed when no answer came in time.
    """

    def __init__(
        self,
        client: Client,
        records: Records,
        durations: Durations,
        catalog: Catalog,
        task_queue: str,
    ) -> None:
        self._client = client
        self._records = records
        self._catalog = catalog
        self._durations = durations
        self._task_queue = task_queue

    async def start(self, new: NewProject, owner: str, key: str) -> tuple[UUID, bool]:
        """Start an initialization; the project's id, and whether this call has created it.

        Raises BlueprintUnknown, ParametersInvalid, NameTaken, and KeyReused when the key was
        used for another request.
        """
        blueprint = self._catalog.get(new.blueprint)
        parameters = complete_parameters(blueprint, new.parameters)
        project_id = uuid5(KEYS, f"{owner}\n{key}")
        if await self._is_there(project_id, new.digest):
            return project_id, False
        if await self._records.named(owner, new.name):
            raise NameTaken(f"There is a project named {new.name} already.")
        project = {"id": str(project_id), "name": new.name, "owner": owner}
        given = InitializationInput(
            project_id=str(project_id),
            name=new.name,
            owner=owner,
            plan=make_plan(blueprint, project, new.parameters),
            parameters=parameters,
            definition=blueprint.model_dump(mode="json", by_alias=True),
            request_hash=new.digest,
            deadline=deadline(),
            actor=owner,
            usual=await self._slow_after(new.blueprint),
        )
        await self._plan(given)
        await self._is_there(project_id, new.digest)
        return project_id, True

    async def retry_step(
        self, project_id: UUID, step: str, parameters: Mapping[str, Any] | None, actor: str
    ) -> None:
        """Run a failed step again.

        Raises ProjectUnknown, StepUnknown, Refused, ParametersInvalid.
        """
        project = await self._records.project(project_id)
        await self._must_have(project_id, step)
        changed, plan = _changed_plan(project, parameters)
        retry = Retry(actor, deadline(), step, changed, plan)
        await self._update(project, messages.RETRY_STEP, retry)

    async def retry_initialization(self, project_id: UUID, actor: str) -> None:
        """Run again what failed, or after the end what is not completed.

        Raises ProjectUnknown, and Refused when there is nothing to do.
        """
        project = await self._records.project(project_id)
        await self._update(project, messages.RETRY_INITIALIZATION, Retry(actor, deadline()))

    async def skip_step(self, project_id: UUID, step: str, reason: str, actor: str) -> None:
        """Leave a failed step out. Raises ProjectUnknown, StepUnknown, Refused."""
        project = await self._records.project(project_id)
        await self._must_have(project_id, step)
        await self._update(project, messages.SKIP_STEP, Skip(actor, deadline(), step, reason))

    async def cancel(self, project_id: UUID, undo: bool, actor: str) -> None:
        """Stop an initialization. Raises ProjectUnknown, and Refused when it has ended."""
        project = await self._records.project(project_id)
        if project.ended:
            raise Refused(f"The initialization has ended: it is {project.status}.")
        await self._update(project, messages.CANCEL, Cancel(actor, deadline(), undo))

    async def preview_retry(self, project_id: UUID, step: str) -> RetryPreview:
        """What a retry of a step would run and keep.

        Raises ProjectUnknown, StepUnknown, Refused.
        """
        project = await self._records.project(project_id)
        await self._must_have(project_id, step)
        steps = await self._records.steps(project_id)
        states: dict[str, Any] = {record.step: resumed_state(record) for record in steps}
        if states[step] != "failed":
            raise Refused(f"Only a failed step can be retried, and {step} is {states[step]}.")
        return Graph(_plan_of(project).steps).runs_on_retry(states, [step])

    async def _plan(self, given: InitializationInput) -> None:
        """Start the workflow and wait until all rows are there."""
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
        try:
            await self._update_with_start(messages.PLANNED, None, given, reuse)
        except StartExpired:
            # An earlier start with this key had come too late; it is out of the way by now.
            await self._update_with_start(messages.PLANNED, None, given, reuse)
        except NotConfirmed:
            if not await self._is_there(UUID(given.project_id), given.request_hash):
                raise

    async def _slow_after(self, blueprint: str) -> dict[str, int]:
        """After how many ms a step counts as slow, where enough have gone before to say."""
        usual = await self._durations.of(blueprint)
        return {step: one.p95 for step, one in usual.items() if one.samples >= FEWEST_SAMPLES}

    async def _is_there(self, project_id: UUID, digest: str) -> bool:
        found = await self._records.find(project_id)
        if found and found.request_hash != digest:
            raise KeyReused("This Idempotency-Key was used for another request.")
        return found is not None

    async def _must_have(self, project_id: UUID, step: str) -> None:
        names = [record.step for record in await self._records.steps(project_id)]
        if step not in names:
            raise StepUnknown(f"There is no step {step}; there are {', '.join(names)}.")

    async def _update(self, project: ProjectRecord, name: str, argument: Any) -> None:
        """Send an update; a retry of what has ended starts the workflow again with it."""
        handle = self._client.get_workflow_handle(messages.workflow_id(str(project.id)))
        if not project.ended:
            try:
                await _answered(handle.execute_update(name, argument))
                return
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
        if project.status == "active":
            raise Refused("The initialization has ended: the project is active.")
        if not isinstance(argument, Retry):
            raise Refused(f"The initialization has ended: it is {project.status}.")
        given = await self._resumed_input(project, argument)
        await self._update_with_start(name, argument, given, WorkflowIDReusePolicy.ALLOW_DUPLICATE)

    async def _update_with_start(
        self, name: str, argument: Any, given: InitializationInput, reuse: WorkflowIDReusePolicy
    ) -> None:
        operation = self._start_operation(given, reuse)
        arguments = [] if argument is None else [argument]
        try:
            await _answered(
                self._client.execute_update_with_start_workflow(
                    name, args=arguments, start_workflow_operation=operation
                )
            )
        except BaseException:
            # The start fails as the update does; asked for, it is not logged as an error unseen.
            await asyncio.gather(operation.workflow_handle(), return_exceptions=True)
            raise

    async def _resumed_input(self, project: ProjectRecord, retry: Retry) -> InitializationInput:
        return InitializationInput(
            project_id=str(project.id),
            name=project.name,
            owner=project.owner,
            plan=retry.plan or _plan_of(project),
            parameters=retry.parameters or project.parameters,
            definition=project.definition,
            request_hash=project.request_hash,
            deadline=retry.deadline,
            actor=retry.actor,
            usual=await self._slow_after(project.blueprint),
            resumed=await self._records.resumed(project.id),
        )

    def _start_operation(
        self, given: InitializationInput, reuse: WorkflowIDReusePolicy
    ) -> WithStartWorkflowOperation[Any, Any]:
        title = default_text(given.plan.title)
        return WithStartWorkflowOperation(
            messages.WORKFLOW,
            given,
            id=messages.workflow_id(given.project_id),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=reuse,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(operators.PROJECT, given.name),
                    SearchAttributePair(operators.BLUEPRINT, given.plan.blueprint),
                    SearchAttributePair(operators.STATUS, "initializing"),
                ]
            ),
            static_summary=f"{given.name} ({title})",
            static_details=f"Project **{given.name}** of {given.owner}, blueprint "
            f"{given.plan.blueprint}, asked for by {given.actor}. Project id `{given.project_id}`.",
        )


def deadline() -> str:
    """The moment after which a request must do nothing any more."""
    return (datetime.now(UTC) + DEADLINE).isoformat()


def _plan_of(project: ProjectRecord, parameters: Mapping[str, Any] | None = None) -> Plan:
    reference = {"id": str(project.id), "name": project.name, "owner": project.owner}
    given = project.parameters if parameters is None else parameters
    return make_plan(Blueprint.model_validate(project.definition), reference, given)


def _changed_plan(
    project: ProjectRecord, changes: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, Plan | None]:
    if not changes:
        return None, None
    blueprint = Blueprint.model_validate(project.definition)
    changed = changed_parameters(blueprint, project.parameters, changes)
    return changed, _plan_of(project, changed)


async def _answered(call: Awaitable[Any]) -> Any:
    """The answer of an update, or a typed error."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await call
    except WorkflowUpdateFailedError as error:
        _raise_typed(error)
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise NotConfirmed(UNCONFIRMED) from error
    except WorkflowAlreadyStartedError as error:
        raise Refused("An initialization of that key has ended already.") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise
        raise NotConfirmed(UNCONFIRMED) from error


def _raise_typed(error: WorkflowUpdateFailedError) -> NoReturn:
    cause = error.cause
    text = cause.message if isinstance(cause, ApplicationError) else str(cause)
    kinds: dict[str, type[Exception]] = {
        messages.NAME_TAKEN: NameTaken,
        messages.START_EXPIRED: StartExpired,
        messages.STEP_UNKNOWN: StepUnknown,
    }
    kind = cause.type if isinstance(cause, ApplicationError) else None
    raise kinds.get(kind or "", Refused)(text) from error
