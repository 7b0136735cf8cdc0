"""Start, retry, skip, cancel: sent as updates to the project's workflow, which applies each
completely or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4, uuid5

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from stepway.api.commands import offers
from stepway.api.commands.host_features import Steps, using
from stepway.api.commands.previews import changeable, preview_cancel, preview_retry
from stepway.api.commands.records import ProjectRecord, Records, StepRecord, resumed_state
from stepway.api.commands.retry_parameters import RetryParameters, lost, plan_of
from stepway.api.commands.updates import ParametersChanged, Updates, deadline, now, raise_typed
from stepway.api.schemas import CancelPreview, Controls, RetryPreview
from stepway.blueprints.catalog import Catalog
from stepway.blueprints.models import Blueprint
from stepway.blueprints.parameters import complete_parameters
from stepway.blueprints.planning import make_plan
from stepway.vault.sealing import SealedParameters
from stepway.workflows.engine import rules
from stepway.workflows.engine.board import Board
from stepway.workflows.model import messages
from stepway.workflows.model.messages import Cancel, InitializationInput, Resumed, Retry, Skip
from stepway_tracking.queries.statistics import Durations
from stepway_tracking.record import facts
from stepway_tracking.record.errors import (
    KeyReused,
    NameTaken,
    NotConfirmed,
    Refused,
    StartExpired,
    StepUnknown,
    WorkflowClosed,
)

KEYS = UUID("6f0e6b0c-5a5f-4a55-9f7e-7f2f5a1d9c11")
"""UUID namespace: a project's ID is the uuid5 of its owner and idempotency key."""

SLOW_AT_LEAST = 500
"""Minimum milliseconds before a step counts as slow, whatever its p95 is."""

MOST_MERGES = 10
"""Times that changed parameters are merged into what others have just changed."""

KNOWN_WITHIN = timedelta(seconds=3)
"""How long a workflow gets to know of a failure that is recorded; a worker may be slow."""

SEND_AGAIN = 0.1
"""Seconds between two controls in that time."""

CLOSED = (
    "The workflow of this initialization was closed outside Stepway. The record is updated within "
    "a minute; then retry the initialization."
)

ONLY_RECORDED = (
    "This project's workflow is not Stepway's own: stepway-tracking records it, and it takes no "
    "retry, skip or cancel. Use Temporal, or the code that started it."
)


Inspect = Callable[[Mapping[str, Any]], Awaitable[None]]
InspectSteps = Callable[[str, Steps], Awaitable[None]]
InspectOwners = Callable[[str, Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class NewProject:
    """A request to create a project."""

    name: str
    blueprint: str
    parameters: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Hash of the request, to recognize a repeat."""
        body = [self.name, self.blueprint, dict(self.parameters)]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def project_id_of(owner: str, key: str) -> UUID:
    """Return the ID of the project that this owner creates with this idempotency key."""
    return uuid5(KEYS, f"{owner}\n{key}")


class Commands:
    """Turns requests into updates of the project's workflow.

    Every command raises NotConfirmed if no response arrives in time.
    """

    def __init__(
        self,
        client: Client,
        records: Records,
        durations: Durations,
        catalog: Catalog,
        sealed: SealedParameters,
        task_queue: str,
        page: str = "",
    ) -> None:
        self._updates = Updates(client, task_queue, page)
        self._records = records
        self._catalog = catalog
        self._parameters = RetryParameters(sealed)
        self._durations = durations

    async def repeated(self, new: NewProject, owner: str, key: str) -> UUID | None:
        """Return the ID of the project that this request has created earlier; None if it has not.

        Raises KeyReused if the key was used for a different request.
        """
        project_id = project_id_of(owner, key)
        return project_id if await self._exists(project_id, new.digest) else None

    async def start(
        self,
        new: NewProject,
        owner: str,
        key: str,
        *,
        actor: str,
        inspect: Inspect,
        inspect_steps: InspectSteps,
    ) -> tuple[UUID, bool]:
        """Start an initialization; return the project's ID and whether this call created it.

        `inspect` receives parameters that the blueprint accepts, and `inspect_steps` the owner and
        the planned steps; they raise to refuse them.
        Raises BlueprintUnknown, ParametersInvalid, NameTaken, and KeyReused if the key was used
        for a different request.
        """
        blueprint = self._catalog.get(new.blueprint)
        parameters = complete_parameters(blueprint, new.parameters)
        project_id = project_id_of(owner, key)
        await inspect(new.parameters)
        taken = await self._records.named(owner, new.name)
        # The same request may be under way twice; the other one was faster.
        if await self._exists(project_id, new.digest):
            return project_id, False
        if taken:
            raise NameTaken(f"A project named {new.name} already exists.")
        project = {"id": str(project_id), "name": new.name, "owner": owner}
        plan = make_plan(blueprint, project, new.parameters)
        await inspect_steps(owner, list(zip(blueprint.steps, plan.steps, strict=True)))
        given = InitializationInput(
            project_id=str(project_id),
            name=new.name,
            owner=owner,
            plan=plan,
            parameters=parameters,
            definition=blueprint.model_dump(mode="json", by_alias=True),
            request_hash=new.digest,
            deadline=deadline(),
            actor=actor,
            usual=await self._slow_after(new.blueprint),
            index_pause=messages.INDEX_PAUSE,
            request_id=str(uuid4()),
        )
        created = await self._plan(given)
        await self._exists(project_id, new.digest)
        return project_id, created

    async def retry_step(
        self,
        project_id: UUID,
        step: str,
        parameters: Mapping[str, Any],
        actor: str,
        *,
        inspect: InspectOwners,
        inspect_steps: InspectSteps,
    ) -> None:
        """Retry a failed step, with these parameters changed.

        `inspect` gets the owner and changes that fit the blueprint, and `inspect_steps` the owner
        and the uncompleted steps that use what changes; they raise for what they refuse.
        Raises ProjectUnknown, StepUnknown, Refused, ParametersInvalid.
        """
        project = await self._project(project_id)
        await self._require_step(project_id, step)
        retry = self._parameters.with_changes(Retry(actor, deadline(), step), project, parameters)
        await inspect(project.owner, parameters)
        await inspect_steps(project.owner, await self._changed_steps(project, retry))
        for _ in range(MOST_MERGES):
            try:
                sending = partial(self._retry, project, messages.RETRY_STEP, retry)
                return await self._once_known(project, step, sending)
            except ParametersChanged as changed:
                project = await self._records.project(project_id)
                retry = self._parameters.with_changes(
                    retry, project, parameters, changed.parameters
                )
        raise Refused("Other requests keep changing the parameters. Check them and try again.")

    async def retry_initialization(self, project_id: UUID, actor: str) -> None:
        """Retry all failed steps; after the initialization has ended, all uncompleted steps.

        Raises ProjectUnknown, and Refused if there is nothing to retry.
        """
        project = await self._project(project_id)
        retry = Retry(actor, deadline())
        sending = partial(self._retry, project, messages.RETRY_INITIALIZATION, retry)
        await self._once_known(project, None, sending)

    async def skip_step(self, project_id: UUID, step: str, reason: str, actor: str) -> None:
        """Skip a failed step. Raises ProjectUnknown, StepUnknown, Refused."""
        project = await self._project(project_id)
        await self._require_step(project_id, step)
        skip = Skip(actor, deadline(), step, reason)
        sending = partial(self._update, project, messages.SKIP_STEP, skip)
        await self._once_known(project, step, sending)

    async def cancel(self, project_id: UUID, undo: bool, actor: str) -> None:
        """Cancel an initialization; `undo` rolls completed steps back.

        Raises ProjectUnknown, and Refused if the initialization has ended.
        """
        project = await self._project(project_id)
        await self._update(project, messages.CANCEL, Cancel(actor, deadline(), undo))

    async def preview_retry(self, project_id: UUID, step: str) -> RetryPreview:
        """Return the steps that a retry would run and keep, the existing objects, and the
        parameters that may be changed.

        Raises ProjectUnknown, StepUnknown, Refused.
        """
        project = await self._project(project_id)
        await self._require_step(project_id, step)
        board, records = await self._retried(project)
        _require_failed(board, step, ended=project.ended)
        shown = preview_retry(board, records, [step])
        blueprint = Blueprint.model_validate(project.definition)
        shown.parameters = changeable(blueprint, step, lost(project))
        return shown

    async def preview_retry_of_all(self, project_id: UUID) -> RetryPreview:
        """Return the steps that a retry of all would run and keep, and the existing objects.

        Raises ProjectUnknown, and Refused if there is nothing to retry.
        """
        project = await self._project(project_id)
        board, records = await self._retried(project)
        chosen = board.retried_by_all(ended=project.ended)
        if not project.ended:
            _refuse_typed(rules.must_have_failures, chosen, project.status)
        return preview_retry(board, records, chosen)

    async def preview_cancel(self, project_id: UUID) -> CancelPreview:
        """Return the steps that a cancel with `undo` would roll back, in order, and the others that
        have made something.

        Raises ProjectUnknown, and Refused if the initialization has ended.
        """
        project = await self._project(project_id)
        if project.ended:
            raise Refused(_ended(project))
        board, records = await self._board(project, rules.CANCELLED_ALREADY)
        return preview_cancel(board, records)

    async def offers(self, found: dict[str, Any]) -> Controls:
        """Return the controls that an initialization takes now; `found` is its JSON."""
        if found["project"]["status"] == "active":
            return offers.NONE
        project = await self._records.project(UUID(found["project"]["id"]))
        if not project.takes_updates or await self._records.is_being_cancelled(project):
            return offers.NONE
        return offers.offers(found)

    async def _project(self, project_id: UUID) -> ProjectRecord:
        """Return a project that takes updates. Raises ProjectUnknown, Refused."""
        project = await self._records.project(project_id)
        if not project.takes_updates:
            raise Refused(ONLY_RECORDED)
        return project

    async def _retried(self, project: ProjectRecord) -> tuple[Board, list[StepRecord]]:
        """Return what a retry starts from. Raises Refused if there can be none."""
        if project.status == "active":
            raise Refused(_ended(project))
        return await self._board(project)

    async def _board(
        self, project: ProjectRecord, cancelling: str = rules.BEING_CANCELLED
    ) -> tuple[Board, list[StepRecord]]:
        """Return the state of the steps. Raises Refused(cancelling) while they are cancelled."""
        if await self._records.is_being_cancelled(project):
            raise Refused(cancelling)
        records = await self._records.steps(project.id)
        ended = project.ended
        states = {one.step: resumed_state(one) if ended else one.status for one in records}
        plan = plan_of(project, project.parameters)
        return Board(plan, Resumed(states, {}, {}), _no_clock), records

    async def _plan(self, given: InitializationInput) -> bool:
        """Start the workflow and wait until it has inserted the project's rows.

        Returns False if the same request, sent at the same time, has started it.
        """
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
        sending = partial(
            self._updates.send_with_start,
            messages.workflow_id(given.project_id),
            messages.PLANNED,
            None,
            given,
            reuse,
        )
        try:
            try:
                started_for = await sending()
            except StartExpired:
                # An earlier start with this key expired, and its workflow is closed by now.
                started_for = await sending()
        except (NotConfirmed, Refused) as error:
            if not await self._exists(UUID(given.project_id), given.request_hash):
                raise
            # Refused: the other request's workflow has already ended.
            return isinstance(error, NotConfirmed)
        # Workers of earlier versions return nothing.
        return started_for in (None, "", given.request_id)

    async def _slow_after(self, blueprint: str) -> dict[str, int]:
        """Return after how many milliseconds each step is slow, if it has enough earlier runs."""
        usual = await self._durations.of(blueprint)
        return {
            step: max(one.p95, SLOW_AT_LEAST)
            for step, one in usual.items()
            if one.samples >= facts.FEWEST_FOR_SLOW
        }

    async def _exists(self, project_id: UUID, digest: str) -> bool:
        found = await self._records.find(project_id)
        if found and found.request_hash != digest:
            raise KeyReused("This Idempotency-Key was already used for a different request.")
        return found is not None

    async def _require_step(self, project_id: UUID, step: str) -> None:
        names = [record.step for record in await self._records.steps(project_id)]
        if step not in names:
            raise StepUnknown(f"Unknown step {step}; available steps: {', '.join(names)}.")

    async def _changed_steps(self, project: ProjectRecord, retry: Retry) -> Steps:
        """Return the uncompleted steps that use a parameter that a retry changes."""
        if retry.plan is None or not retry.changes:
            return []
        completed = {
            record.step
            for record in await self._records.steps(project.id)
            if record.status == "completed"
        }
        steps = Blueprint.model_validate(project.definition).steps
        return [
            (step, planned)
            for step, planned in zip(steps, retry.plan.steps, strict=True)
            if step.step not in completed and using(step, retry.changes)
        ]

    async def _once_known(
        self, project: ProjectRecord, step: str | None, send: Callable[[], Awaitable[None]]
    ) -> None:
        """Send a control of a failed step, or of all.

        The record has a failure before the workflow knows of it. Until it does, or for KNOWN_WITHIN
        seconds, a control that it refuses for that is sent again.
        """
        end = now() + KNOWN_WITHIN
        while True:
            try:
                return await send()
            except Refused as refused:
                behind = rules.is_for_running(str(refused), step)
                if not behind or now() > end or not await self._has_failed(project.id, step):
                    raise
            await asyncio.sleep(SEND_AGAIN)

    async def _has_failed(self, project_id: UUID, step: str | None) -> bool:
        records = await self._records.steps(project_id)
        return any(one.status == "failed" for one in records if step in (None, one.step))

    async def _update(self, project: ProjectRecord, name: str, argument: Any) -> None:
        """Send an update. Raises Refused if the initialization has ended."""
        if project.ended:
            raise Refused(_ended(project))
        if not await self._sent(project, name, argument):
            raise Refused(CLOSED)

    async def _sent(self, project: ProjectRecord, name: str, argument: Any) -> bool:
        """Send an update; return False if no workflow is running."""
        try:
            await self._updates.send(project.workflow_id, name, argument)
        except WorkflowClosed:
            return False
        return True

    async def _retry(self, project: ProjectRecord, name: str, retry: Retry) -> None:
        """Send a retry; if the initialization has ended, start its workflow again with it."""
        if project.status == "active":
            raise Refused(_ended(project))
        if not project.ended and await self._sent(project, name, retry):
            return
        given = await self._resumed_input(project, retry)
        if retry.step:
            # Update-with-start starts the workflow even if it refuses the update.
            _require_failed(Board(given.plan, given.resumed, _no_clock), retry.step, ended=True)
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE
        workflow_id = project.workflow_id
        await self._updates.send_with_start(workflow_id, name, retry, given, reuse, project.status)

    async def _resumed_input(self, project: ProjectRecord, retry: Retry) -> InitializationInput:
        parameters = retry.parameters
        if parameters is None:
            parameters = self._parameters.present(project)
        return InitializationInput(
            project_id=str(project.id),
            name=project.name,
            owner=project.owner,
            plan=retry.plan or plan_of(project, parameters),
            parameters=parameters,
            definition=project.definition,
            request_hash=project.request_hash,
            deadline=retry.deadline,
            actor=retry.actor,
            usual=await self._slow_after(project.blueprint),
            resumed=await self._records.resumed(project.id),
            index_pause=messages.INDEX_PAUSE,
        )


def _require_failed(board: Board, step: str, *, ended: bool) -> None:
    """Raise Refused unless the step has failed."""
    _refuse_typed(rules.must_be_failed, board, step, "retried", ended=ended)


def _refuse_typed(rule: Callable[..., None], *given: Any, **more: Any) -> None:
    """Apply a rule of the workflow. Raises Refused, StepUnknown."""
    try:
        rule(*given, **more)
    except ApplicationError as error:
        raise_typed(error)


def _ended(project: ProjectRecord) -> str:
    if project.status == "active":
        return "The initialization has ended: the project is active."
    return f"The initialization has ended: the project is {project.status}. You can retry it."


def _no_clock() -> datetime:
    return datetime.min.replace(tzinfo=UTC)
