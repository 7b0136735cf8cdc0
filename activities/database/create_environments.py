"""create_environments and its undo: insert and delete the rows of a project's environments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.models import Environment
from stepway.activities.project import ProjectRef, object_id
from stepway.activities.rollback import Removed, left_behind
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Skipped

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class EnvironmentSpec:
    """An environment; `approvals` is how many people must approve a deployment to it."""

    name: str
    approvals: int = 0


DEFAULT_ENVIRONMENTS = (
    EnvironmentSpec("development", 0),
    EnvironmentSpec("staging", 1),
    EnvironmentSpec("production", 2),
)


@dataclass(frozen=True)
class CreateEnvironmentsInput:
    """The environments, as specs or names; DEFAULT_ENVIRONMENTS for None."""

    project: ProjectRef
    environments: list[EnvironmentSpec | str] | None = None


@dataclass(frozen=True)
class CreatedEnvironments:
    """The environments that were created or updated."""

    environments: list[EnvironmentSpec]


@dataclass(frozen=True)
class DeleteEnvironmentsInput(CreateEnvironmentsInput):
    """`result` is the result of create_environments."""

    result: dict[str, Any] | None = None


def environment_specs(given: Sequence[EnvironmentSpec | str] | None) -> list[EnvironmentSpec]:
    """Return the environments as specs.

    Raises step_error for invalid or duplicate names and for negative approvals.
    """
    specs = [EnvironmentSpec(e) if isinstance(e, str) else e for e in given or ()]
    for spec in specs:
        if not _NAME.fullmatch(spec.name) or spec.approvals < 0:
            raise _bad(f"{spec.name!r} with {spec.approvals} approvals")
    if len({spec.name for spec in specs}) < len(specs):
        raise _bad("duplicate names")
    return specs


def _bad(what: str) -> ApplicationError:
    return step_error(
        f"Invalid environments: {what}",
        remedy="Give each environment a unique name of lowercase letters, digits and hyphens, "
        "and 0 or more approvals.",
        retry=False,
    )


class EnvironmentSteps:
    """Writes the table of environments."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def create_environments(
        self, given: CreateEnvironmentsInput
    ) -> CreatedEnvironments | Skipped:
        """Insert the environments, or update existing ones."""
        asked = DEFAULT_ENVIRONMENTS if given.environments is None else given.environments
        specs = environment_specs(asked)
        if not specs:
            return Skipped("The project has no environments")
        statement = insert(Environment).values([_row(given.project, spec) for spec in specs])
        async with self._engine.begin() as connection:
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["project_id", "name"],
                    set_={"approvals": statement.excluded.approvals},
                )
            )
        return CreatedEnvironments(specs)

    @activity.defn
    async def delete_environments(self, given: DeleteEnvironmentsInput) -> Removed:
        """Delete the environments of the step. Raises step_error if one was changed."""
        made = {e["name"]: e["approvals"] for e in (given.result or {}).get("environments", [])}
        ours = (Environment.project_id == UUID(given.project.id)) & Environment.name.in_(list(made))
        found = select(Environment.name, Environment.approvals).where(ours).with_for_update()
        async with self._engine.begin() as connection:
            rows = (await connection.execute(found)).all()
            for row in rows:
                if row.approvals != made[row.name]:
                    raise left_behind(
                        f"The environment {row.name}", "its approvals were changed in the meantime"
                    )
            await connection.execute(delete(Environment).where(ours))
        return Removed(sorted(row.name for row in rows))


def _row(project: ProjectRef, spec: EnvironmentSpec) -> dict[str, Any]:
    return {
        "id": object_id(project, "environment", spec.name),
        "project_id": UUID(project.id),
        **asdict(spec),
    }
