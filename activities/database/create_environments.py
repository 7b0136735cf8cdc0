"""create_environments and its undo: insert and delete the rows of a project's environments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.beats import beating
from stepway.activities.hosts import LOCAL, OpenHost
from stepway.activities.models import Environment
from stepway.activities.postgres import opened
from stepway.activities.project import ProjectRef, object_id
from stepway.activities.repository.target import (
    OnRepository,
    made_repository,
    opened_host,
    opened_repository,
    owner_on,
)
from stepway.activities.rollback import Removed, left_behind
from stepway.hosts.host import DeployEnvironment, Feature
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Skipped

_LONGEST_WAIT = 43_200
"""Minutes that a host waits before a deployment, at most: GitHub's limit."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class EnvironmentSpec:
    """An environment; `approvals` is how many people must approve a deployment to it.

    On the Git host, `reviewers` are the accounts, or teams as `@team`, that may approve, and `wait`
    is the minutes before a deployment. Without reviewers the host asks nobody for approval.
    """

    name: str
    approvals: int = 0
    reviewers: list[str] = field(default_factory=list)
    wait: int = 0


DEFAULT_ENVIRONMENTS = (
    EnvironmentSpec("development", 0),
    EnvironmentSpec("staging", 1),
    EnvironmentSpec("production", 2),
)


@dataclass(frozen=True)
class CreateEnvironmentsInput(OnRepository):
    """`environments` are mappings or names; an empty list skips the step.

    By default they are development, staging with one approval, and production with two. On a Git
    host that has environments, they are created in the project's repository too.
    """

    environments: list[EnvironmentSpec | str] | None = None


@dataclass(frozen=True)
class CreatedEnvironments:
    """The environments that were created or updated; `on_host`: on the Git host too."""

    environments: list[EnvironmentSpec]
    on_host: bool = False


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
        if not 0 <= spec.wait <= _LONGEST_WAIT:
            raise _bad(f"{spec.name!r} with a wait of {spec.wait} minutes")
    if len({spec.name for spec in specs}) < len(specs):
        raise _bad("duplicate names")
    return specs


def _bad(what: str) -> ApplicationError:
    return step_error(
        f"Invalid environments: {what}",
        remedy="Give each environment a unique name of lowercase letters, digits and hyphens, "
        f"0 or more approvals, and a wait of at most {_LONGEST_WAIT:,} minutes.",
        retry=False,
    )


class EnvironmentSteps:
    """Writes the table of environments, and creates them on Git hosts."""

    def __init__(self, engine: AsyncEngine, hosts: OpenHost) -> None:
        self._engine = engine
        self._hosts = hosts

    @activity.defn
    async def create_environments(
        self, given: CreateEnvironmentsInput
    ) -> CreatedEnvironments | Skipped:
        """Insert the environments, or update existing ones."""
        asked = DEFAULT_ENVIRONMENTS if given.environments is None else given.environments
        specs = environment_specs(asked)
        if not specs:
            return Skipped("The project has no environments")
        async with beating():
            on_host = given.credential != LOCAL and await self._put_on_host(given, specs)
            statement = insert(Environment).values([_row(given.project, spec) for spec in specs])
            async with opened(self._engine) as connection:
                await connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["project_id", "name"],
                        set_={"approvals": statement.excluded.approvals},
                    )
                )
        return CreatedEnvironments(specs, on_host)

    async def _put_on_host(
        self, given: CreateEnvironmentsInput, specs: Sequence[EnvironmentSpec]
    ) -> bool:
        """Create the environments on the host; False if it has none."""
        async with opened_repository(self._hosts, given) as (host, repository):
            if Feature.ENVIRONMENTS not in host.features:
                return False
            for spec in specs:
                keep = given.mode == "import"
                await host.put_environment(repository, _for_host(spec), keep_more=keep)
        return True

    async def _remove_from_host(self, given: DeleteEnvironmentsInput, names: Sequence[str]) -> None:
        """Delete the environments from the host. Raises step_error if they may be older."""
        async with opened_host(self._hosts, given) as host:
            owner, name = await owner_on(host, given), given.repository_name
            repository = await made_repository(host, given, owner)
            if repository is None:
                return
            if repository.project_id != given.project.id:
                raise left_behind(
                    f"The environments {', '.join(names)} of {owner}/{name}",
                    "the repository existed before the project",
                )
            for environment in names:
                await host.remove_environment(repository, environment)

    @activity.defn
    async def delete_environments(self, given: DeleteEnvironmentsInput) -> Removed:
        """Delete the environments of the step. Raises step_error if one was changed."""
        made = {e["name"]: e["approvals"] for e in (given.result or {}).get("environments", [])}
        ours = (Environment.project_id == UUID(given.project.id)) & Environment.name.in_(list(made))
        found = select(Environment.name, Environment.approvals).where(ours).with_for_update()
        async with beating():
            async with opened(self._engine) as connection:
                rows = (await connection.execute(found)).all()
                for row in rows:
                    if row.approvals != made[row.name]:
                        raise left_behind(
                            f"The environment {row.name}",
                            "its approvals were changed in the meantime",
                        )
                await connection.execute(delete(Environment).where(ours))
            if (given.result or {}).get("on_host"):
                await self._remove_from_host(given, sorted(made))
        return Removed(sorted(row.name for row in rows))


def _row(project: ProjectRef, spec: EnvironmentSpec) -> dict[str, Any]:
    return {
        "id": object_id(project, "environment", spec.name),
        "project_id": UUID(project.id),
        "name": spec.name,
        "approvals": spec.approvals,
    }


def _for_host(spec: EnvironmentSpec) -> DeployEnvironment:
    # Without reviewers nobody could approve: the host would refuse it, or block deployments.
    approvals = spec.approvals if spec.reviewers else 0
    return DeployEnvironment(spec.name, tuple(spec.reviewers), approvals, spec.wait)
