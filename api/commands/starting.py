"""Start an initialization: its workflow and the update that waits for the project's rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4, uuid5

from temporalio.common import WorkflowIDReusePolicy

from stepway.api.commands.host_features import InspectSteps
from stepway.api.commands.records import Records
from stepway.api.commands.slow import slow_after
from stepway.api.commands.updates import Updates, deadline
from stepway.blueprints.catalog import Catalog
from stepway.blueprints.parameters import complete_parameters
from stepway.blueprints.planning import make_plan
from stepway.workflows.model import messages
from stepway.workflows.model.messages import InitializationInput
from stepway_tracking.queries.statistics import Durations
from stepway_tracking.record.errors import (
    KeyReused,
    NameTaken,
    NotConfirmed,
    Refused,
    StartExpired,
)

KEYS = UUID("6f0e6b0c-5a5f-4a55-9f7e-7f2f5a1d9c11")
"""UUID namespace: a project's ID is the uuid5 of its owner and idempotency key."""

Inspect = Callable[[Mapping[str, Any]], Awaitable[None]]


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


class Starts:
    """Starts initializations. Raises NotConfirmed if no response arrives in time."""

    def __init__(
        self, updates: Updates, records: Records, durations: Durations, catalog: Catalog
    ) -> None:
        self._updates = updates
        self._records = records
        self._durations = durations
        self._catalog = catalog

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
            usual=await slow_after(self._durations, new.blueprint),
            index_pause=messages.INDEX_PAUSE,
            request_id=str(uuid4()),
        )
        created = await self._plan(given)
        await self._exists(project_id, new.digest)
        return project_id, created

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

    async def _exists(self, project_id: UUID, digest: str) -> bool:
        found = await self._records.find(project_id)
        if found and found.request_hash != digest:
            raise KeyReused("This Idempotency-Key was already used for a different request.")
        return found is not None
