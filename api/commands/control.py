"""Retry, skip, cancel: sent as updates to the project's workflow, which applies each
completely or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from temporalio.common import WorkflowIDReusePolicy

from stepway.api.commands.boards import Boards, board_of, ended_sentence, require_failed
from stepway.api.commands.host_features import InspectSteps, Steps, using
from stepway.api.commands.records import ProjectRecord, Records
from stepway.api.commands.retry_parameters import RetryParameters, plan_of
from stepway.api.commands.slow import slow_after
from stepway.api.commands.updates import ParametersChanged, Updates, deadline, now
from stepway.blueprints.models import Blueprint
from stepway.vault.sealing import SealedParameters
from stepway.workflows.engine import rules
from stepway.workflows.model import messages
from stepway.workflows.model.messages import Cancel, InitializationInput, Retry, Skip
from stepway.workflows.model.plan import Graph
from stepway_tracking.queries.statistics import Durations
from stepway_tracking.record.errors import Refused, WorkflowClosed

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


InspectOwners = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class Commands:
    """Turns requests into updates of the project's workflow.

    Every command raises NotConfirmed if no response arrives in time.
    """

    def __init__(
        self,
        updates: Updates,
        records: Records,
        boards: Boards,
        durations: Durations,
        sealed: SealedParameters,
    ) -> None:
        self._updates = updates
        self._records = records
        self._boards = boards
        self._durations = durations
        self._parameters = RetryParameters(sealed)

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
        project = await self._boards.project(project_id)
        await self._boards.require_step(project_id, step)
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
        project = await self._boards.project(project_id)
        retry = Retry(actor, deadline())
        sending = partial(self._retry, project, messages.RETRY_INITIALIZATION, retry)
        await self._once_known(project, None, sending)

    async def skip_step(self, project_id: UUID, step: str, reason: str, actor: str) -> None:
        """Skip a failed step. Raises ProjectUnknown, StepUnknown, Refused."""
        project = await self._boards.project(project_id)
        await self._boards.require_step(project_id, step)
        skip = Skip(actor, deadline(), step, reason)
        sending = partial(self._update, project, messages.SKIP_STEP, skip)
        await self._once_known(project, step, sending)

    async def cancel(self, project_id: UUID, undo: bool, actor: str) -> None:
        """Cancel an initialization; `undo` rolls completed steps back.

        Raises ProjectUnknown, and Refused if the initialization has ended.
        """
        project = await self._boards.project(project_id)
        await self._update(project, messages.CANCEL, Cancel(actor, deadline(), undo))

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
            raise Refused(ended_sentence(project))
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
            raise Refused(ended_sentence(project))
        if not project.ended and await self._sent(project, name, retry):
            return
        given = await self._resumed_input(project, retry)
        if retry.step:
            # Update-with-start starts the workflow even if it refuses the update.
            require_failed(board_of(given.plan, given.resumed), retry.step, ended=True)
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE
        workflow_id = project.workflow_id
        await self._updates.send_with_start(workflow_id, name, retry, given, reuse, project.status)

    async def _resumed_input(self, project: ProjectRecord, retry: Retry) -> InitializationInput:
        parameters = retry.parameters
        if parameters is None:
            parameters = self._parameters.present(project)
        plan = retry.plan or plan_of(project, parameters)
        return InitializationInput(
            project_id=str(project.id),
            name=project.name,
            owner=project.owner,
            plan=plan,
            parameters=parameters,
            definition=project.definition,
            request_hash=project.request_hash,
            deadline=retry.deadline,
            actor=retry.actor,
            usual=await slow_after(self._durations, project.blueprint),
            resumed=await self._records.resumed(project.id, Graph(plan.steps)),
            index_pause=messages.INDEX_PAUSE,
        )
