"""What all parts of the GitLab client share."""

from __future__ import annotations

from stepway.hosts.client import HostClient
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import HostRepository, Permission
from stepway.hosts.paths import one_segment

ACCESS_LEVELS = {
    Permission.READ: 20,
    Permission.TRIAGE: 20,
    Permission.WRITE: 30,
    Permission.MAINTAIN: 40,
    Permission.ADMIN: 50,
}
"""Reporter, Developer, Maintainer, Owner. A Guest cannot read the code of a private project."""

PAGE = {"per_page": 100}


class GitLabApi(HostClient):
    """Requests to one GitLab host. Its tokens of all types are taken as `Bearer`."""

    async def group_id(self, path: str) -> int:
        """Return the ID of a group. Raises HostError NOT_FOUND."""
        group = await self.http.call(
            "GET", f"groups/{quoted(path)}", params={"with_projects": "false"}, missing=True
        )
        if group is None:
            raise HostError(
                Reason.NOT_FOUND,
                f"There is no group {path}, or the credential {self.access.credential} "
                "may not see it",
                remedy="Check the group's full path, such as acme/platform.",
            )
        return int(group["id"])

    async def user_id(self, username: str) -> int:
        """Return the ID of a user. Raises HostError NOT_FOUND."""
        users = await self.http.call("GET", "users", params={"username": username})
        for user in users or ():
            if user["username"].casefold() == username.casefold():
                return int(user["id"])
        raise HostError(
            Reason.NOT_FOUND, f"There is no user {username}", remedy="Check the user name."
        )


def project_path(repository: HostRepository) -> str:
    """Return the API's path of a project. It goes by the ID, which survives a renaming."""
    return f"projects/{repository.id}"


def quoted(name: str) -> str:
    """Return a path or a branch as one segment of a URL. Raises HostError INVALID."""
    return one_segment(name)
