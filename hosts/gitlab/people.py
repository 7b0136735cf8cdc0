"""Members of a project, and groups that it is shared with."""

from __future__ import annotations

from stepway.hosts.client import Json
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.api import ACCESS_LEVELS, PAGE, GitLabApi, project_path
from stepway.hosts.host import HostRepository, Permission

_INHERITED = "inherited membership"


class People(GitLabApi):
    """Collaborators are direct members; teams are groups that the project is shared with."""

    async def put_collaborator(
        self,
        repository: HostRepository,
        account: str,
        permission: Permission,
        *,
        keep_more: bool = False,
    ) -> None:
        """Make an account a direct member, unless it has more by its group."""
        members = f"{project_path(repository)}/members"
        level = ACCESS_LEVELS[permission]
        try:
            if member := await self._member(repository, account):
                if keep_more and member["access_level"] > level:
                    return
                await self.http.call("PUT", f"{members}/{member['id']}", {"access_level": level})
            else:
                await self._add_member(members, repository, account, level)
        except HostError as error:
            if _INHERITED not in error.message:
                raise

    async def remove_collaborator(self, repository: HostRepository, account: str) -> bool:
        """Remove a direct member."""
        member = await self._member(repository, account)
        if member is None:
            return False
        path = f"{project_path(repository)}/members/{member['id']}"
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success

    async def put_team(
        self,
        repository: HostRepository,
        team: str,
        permission: Permission,
        *,
        keep_more: bool = False,
    ) -> None:
        """Share the project with a group, given by its full path, with or without an `@`."""
        level, project = ACCESS_LEVELS[permission], project_path(repository)
        if (shared := await self._share(repository, team)) is not None:
            has = shared["group_access_level"]
            if has == level or (keep_more and has > level):
                return
            # GitLab cannot change the level of a share.
            await self.http.call("DELETE", f"{project}/share/{shared['group_id']}", missing=True)
        body = {"group_id": await self.group_id(team.removeprefix("@")), "group_access": level}
        try:
            await self.http.call("POST", f"{project}/share", body)
        except HostError as error:
            if not error.is_taken:
                raise

    async def remove_team(self, repository: HostRepository, team: str) -> bool:
        """Stop sharing the project with a group."""
        shared = await self._share(repository, team)
        if shared is None:
            return False
        path = f"{project_path(repository)}/share/{shared['group_id']}"
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success

    async def _add_member(
        self, members: str, repository: HostRepository, account: str, level: int
    ) -> None:
        body = {"username": account, "access_level": level}
        try:
            await self.http.call("POST", members, body)
        except HostError as error:
            if error.reason is Reason.NOT_FOUND:
                raise HostError(
                    Reason.NOT_FOUND,
                    f"There is no user {account} that can become a member of "
                    f"{repository.owner}/{repository.name}",
                    remedy="Check the user name, and that the credential may manage members.",
                    status=error.status,
                ) from error
            if not error.is_taken:
                raise

    async def _member(self, repository: HostRepository, account: str) -> Json | None:
        path = f"{project_path(repository)}/members"
        async for member in self.http.pages(path, {"query": account, **PAGE}):
            if member["username"].casefold() == account.casefold():
                return dict(member)
        return None

    async def _share(self, repository: HostRepository, group: str) -> Json | None:
        project = await self.http.call("GET", project_path(repository))
        for shared in project.get("shared_with_groups") or ():
            if shared["group_full_path"].casefold() == group.removeprefix("@").casefold():
                return dict(shared)
        return None
