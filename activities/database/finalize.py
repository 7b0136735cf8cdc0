"""finalize: verifies that the results of the steps exist and match."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity

from stepway.activities.beats import Beats, beating
from stepway.activities.database.create_environments import EnvironmentSpec, environment_specs
from stepway.activities.git.remote import Remote
from stepway.activities.hosts import OpenHost
from stepway.activities.models import Environment, Repository
from stepway.activities.postgres import opened
from stepway.activities.repository.target import (
    OnRepository,
    is_own,
    opened_host,
    owner_on,
    remote_of,
)
from stepway.hosts.host import GitHost, HostRepository
from stepway_tracking.record.errors import step_error


@dataclass(frozen=True)
class FinalizeInput(OnRepository):
    """Results of earlier steps to verify; missing and empty values are not checked.

    The commit may be on the default branch, or wait there in a `pull_request` of push_template.
    """

    repository: str | None = None
    commit: str | None = None
    environments: list[EnvironmentSpec | str] | None = None
    pull_request: dict[str, Any] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Verified:
    """The names of the objects that were verified."""

    verified: list[str]


class FinalizeSteps:
    """Checks the repository on the host, and the rows in the database."""

    def __init__(self, hosts: OpenHost, engine: AsyncEngine) -> None:
        self._hosts = hosts
        self._engine = engine

    @activity.defn
    async def finalize(self, given: FinalizeInput) -> Verified:
        """Verify all results. Raises step_error that names all missing or different objects."""
        wrong: list[str] = []
        async with beating() as beats:
            if given.repository is not None:
                wrong += await self._wrong_in_git(given, beats)
            async with opened(self._engine) as connection:
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

    async def _wrong_in_git(self, given: FinalizeInput, beats: Beats) -> list[str]:
        async with opened_host(self._hosts, given) as host:
            owner = await owner_on(host, given)
            found = await host.find_repository(owner, given.repository_name)
            if found is None or not (given.mode == "import" or is_own(found, given.project)):
                return [f"the repository {given.repository} is missing"]
            if given.commit is None or await _is_there(host, found, given, beats):
                return []
            branch = found.default_branch or "main"
            return [
                f"the {branch} branch of {given.repository} does not contain commit {given.commit}"
            ]


async def _is_there(
    host: GitHost, repository: HostRepository, given: FinalizeInput, beats: Beats
) -> bool:
    """Whether the commit is on the default branch, or in an open or merged pull request."""
    assert given.commit is not None
    if given.pull_request is not None:
        request = await host.find_pull_request(repository, given.pull_request["number"])
        if request.state in ("open", "merged"):
            return True
    remote = await remote_of(host, repository, given)
    branch, commit = repository.default_branch or "main", given.commit
    return await beats.in_thread(lambda: _contains(remote, branch, commit, beats))


def _contains(remote: Remote, branch: str, commit: str, beats: Beats) -> bool:
    # It may be an older commit: people may have pushed since.
    head = remote.refs(beats.check).get(f"refs/heads/{branch}".encode())
    if head is None or head.decode() == commit:
        return head is not None
    return any(one.id.decode() == commit for one in remote.history(head, beats.check))


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
