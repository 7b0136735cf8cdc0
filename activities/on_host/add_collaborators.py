"""add_collaborators and its undo: give accounts and teams access to the project's repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from temporalio import activity

from stepway.activities.beats import beating
from stepway.activities.hosts import OpenHost
from stepway.activities.repository.target import (
    OnRepository,
    need,
    opened_host,
    opened_repository,
    to_take_back,
)
from stepway.activities.rollback import Removed
from stepway.hosts.host import Feature, Permission
from stepway_tracking.record.progress import Skipped

Right = Literal["read", "triage", "write", "maintain", "admin"]


@dataclass(frozen=True)
class Collaborator:
    """An account of the host, and what it may do."""

    account: str
    permission: Right = "write"


@dataclass(frozen=True)
class TeamAccess:
    """A team (GitHub, Gitea) or group (GitLab) of the host, and what it may do."""

    team: str
    permission: Right = "write"


@dataclass(frozen=True)
class AddCollaboratorsInput(OnRepository):
    """The accounts and teams that get access; without any, the step is skipped."""

    collaborators: list[Collaborator] = field(default_factory=list, kw_only=True)
    teams: list[TeamAccess] = field(default_factory=list, kw_only=True)


@dataclass(frozen=True)
class AddedCollaborators:
    """The accounts and teams that have access."""

    collaborators: list[str]
    teams: list[str]


@dataclass(frozen=True)
class RemoveCollaboratorsInput(OnRepository):
    """`result` is the result of add_collaborators."""

    result: dict[str, Any] | None = field(default=None, kw_only=True)


class CollaboratorSteps:
    """Changes who may use repositories on Git hosts."""

    def __init__(self, hosts: OpenHost) -> None:
        self._hosts = hosts

    @activity.defn
    async def add_collaborators(self, given: AddCollaboratorsInput) -> AddedCollaborators | Skipped:
        """Give the accounts and teams their permissions, or change those that they have.

        With the mode `import`, a greater permission stays.
        """
        if not given.collaborators and not given.teams:
            return Skipped("There are no collaborators")
        async with beating(), opened_repository(self._hosts, given) as (host, repository):
            keep = given.mode == "import"
            if given.collaborators:
                need(host, Feature.COLLABORATORS)
            if given.teams:
                need(host, Feature.TEAMS)
            for one in given.collaborators:
                permission = Permission(one.permission)
                await host.put_collaborator(repository, one.account, permission, keep_more=keep)
            for team in given.teams:
                permission = Permission(team.permission)
                await host.put_team(repository, team.team, permission, keep_more=keep)
        return AddedCollaborators(
            [one.account for one in given.collaborators], [team.team for team in given.teams]
        )

    @activity.defn
    async def remove_collaborators(self, given: RemoveCollaboratorsInput) -> Removed:
        """Take the permissions back. Raises step_error if they may be older than the project."""
        made = given.result or {}
        accounts: Sequence[str] = made.get("collaborators", [])
        teams: Sequence[str] = made.get("teams", [])
        if not accounts and not teams:
            return Removed()
        removed = []
        async with beating(), opened_host(self._hosts, given) as host:
            repository = await to_take_back(host, given, f"Access for {_listed(accounts, teams)}")
            if repository is None:
                return Removed()
            for account in accounts:
                if await host.remove_collaborator(repository, account):
                    removed.append(account)
            for team in teams:
                if await host.remove_team(repository, team):
                    removed.append(team)
        return Removed(removed)


def _listed(accounts: Sequence[str], teams: Sequence[str]) -> str:
    return ", ".join([*accounts, *teams])
