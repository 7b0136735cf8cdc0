"""finalize: verifies that the results of the steps exist and match."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from dulwich.repo import Repo
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity

from stepway.activities.database.create_environments import EnvironmentSpec, environment_specs
from stepway.activities.git.repositories import head_of, history, project_of
from stepway.activities.models import Environment, Repository
from stepway.activities.project import ProjectRef, repository_path
from stepway_tracking.record.errors import step_error


@dataclass(frozen=True)
class FinalizeInput:
    """Results of earlier steps to verify; None and empty values are not checked."""

    project: ProjectRef
    repository: str | None = None
    commit: str | None = None
    environments: list[EnvironmentSpec | str] | None = None


@dataclass(frozen=True)
class Verified:
    """The names of the objects that were verified."""

    verified: list[str]


class FinalizeSteps:
    """Checks the repository under `data_dir` and the rows in the database."""

    def __init__(self, data_dir: Path, engine: AsyncEngine) -> None:
        self._data_dir = data_dir
        self._engine = engine

    @activity.defn
    async def finalize(self, given: FinalizeInput) -> Verified:
        """Verify all results. Raises step_error that names all missing or different objects."""
        wrong: list[str] = []
        if given.repository is not None:
            wrong += await asyncio.to_thread(_wrong_in_git, self._data_dir, given)
        async with self._engine.connect() as connection:
            wrong += await _wrong_record(connection, given)
            wrong += await _wrong_environments(connection, given)
        if wrong:
            raise step_error(
                "The results of the steps do not match: " + "; ".join(wrong),
                remedy="Correct it, or retry the step that created it; then retry this step.",
                retry=False,
            )
        environments = environment_specs(given.environments)
        repository = [f"repository {given.repository}"] if given.repository else []
        return Verified([*repository, *(f"environment {e.name}" for e in environments)])


def _wrong_in_git(data_dir: Path, given: FinalizeInput) -> list[str]:
    path = repository_path(data_dir, given.project)
    if project_of(path) != given.project.id:
        return [f"the repository {given.repository} is missing"]
    if given.commit is None:
        return []
    with Repo(str(path)) as repo:
        # It may be an older commit: people may have pushed since.
        if any(commit.id == given.commit.encode() for commit in history(repo, head_of(repo))):
            return []
    return [f"the main branch of {given.repository} does not contain commit {given.commit}"]


async def _wrong_record(connection: AsyncConnection, given: FinalizeInput) -> list[str]:
    if given.repository is None:
        return []
    row = (
        await connection.execute(
            select(Repository.commit).where(
                Repository.project_id == UUID(given.project.id),
                Repository.name == given.repository,
            )
        )
    ).one_or_none()
    if row is None:
        return [f"the repository {given.repository} has no record"]
    if row.commit != given.commit:
        return [f"the record of {given.repository} says commit {row.commit}, not {given.commit}"]
    return []


async def _wrong_environments(connection: AsyncConnection, given: FinalizeInput) -> list[str]:
    rows = await connection.execute(
        select(Environment.name, Environment.approvals).where(
            Environment.project_id == UUID(given.project.id)
        )
    )
    found = {row.name: row.approvals for row in rows}
    return [
        f"the environment {spec.name} has {found.get(spec.name, 'no record')}"
        f" instead of {spec.approvals} approvals"
        for spec in environment_specs(given.environments)
        if found.get(spec.name) != spec.approvals
    ]
