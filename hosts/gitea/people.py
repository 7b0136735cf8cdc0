"""Collaborators and teams."""

from __future__ import annotations

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitea.api import PERMISSIONS, GiteaApi, quoted, repository_path
from stepway.hosts.host import HostRepository, Permission

_ORDER = ("none", "read", "write", "admin", "owner")


class People(GiteaApi):
    """Accounts have a permission for each repository, teams have one for all of theirs."""

    async def put_collaborator(
        self,
        repository: HostRepository,
        account: str,
        permission: Permission,
        *,
        keep_more: bool = False,
    ) -> None:
        """Give an account a permission: read, write or admin."""
        path, right = _collaborator(repository, account), PERMISSIONS[permission]
        if keep_more and _ORDER.index(await self._right_of(path)) > _ORDER.index(right):
            return
        await self.http.call("PUT", path, {"permission": right})

    async def _right_of(self, path: str) -> str:
        """Return the permission of a collaborator, or "none"."""
        response, _ = await self.http.answer("GET", path, missing=True)
        if not response.is_success:
            return "none"
        return str((await self.http.call("GET", f"{path}/permission"))["permission"])

    async def remove_collaborator(self, repository: HostRepository, account: str) -> bool:
        """Take the permission back."""
        path = _collaborator(repository, account)
        # The host answers the removal of a stranger as it answers that of a collaborator.
        response, _ = await self.http.answer("GET", path, missing=True)
        if not response.is_success:
            return False
        await self.http.call("DELETE", path, missing=True)
        return True

    async def put_team(
        self,
        repository: HostRepository,
        team: str,
        permission: Permission,
        *,
        keep_more: bool = False,
    ) -> None:
        """Add a team of the organization.

        Raises HostError INVALID if the team may do less than `permission` in its repositories.
        """
        path = _team(repository, team)
        found = await self.http.call("GET", path, missing=True)
        if found is None:
            await self.http.call("PUT", path)
            found = await self.http.call("GET", path)
        # A team with the permission "none" has one for each part of a repository.
        has, needed = found.get("permission") or "none", PERMISSIONS[permission]
        if has != "none" and _ORDER.index(has) < _ORDER.index(needed):
            raise HostError(
                Reason.INVALID,
                f"The team {team} has the permission {has} in all its repositories, "
                f"less than {needed}",
                remedy=f"Change the team's permission in the organization {repository.owner}, "
                "or ask for that one: Gitea has none for a single repository.",
            )

    async def remove_team(self, repository: HostRepository, team: str) -> bool:
        """Take the repository from the team."""
        path = _team(repository, team)
        if await self.http.call("GET", path, missing=True) is None:
            return False
        await self.http.call("DELETE", path, missing=True)
        return True


def _collaborator(repository: HostRepository, account: str) -> str:
    return f"{repository_path(repository)}/collaborators/{quoted(account)}"


def _team(repository: HostRepository, team: str) -> str:
    # A team is named `team`, `@team` or `@organization/team`.
    return (
        f"{repository_path(repository)}/teams/{quoted(team.rpartition('/')[2].removeprefix('@'))}"
    )
