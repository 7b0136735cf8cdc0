"""What all parts of the GitLab client share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from stepway.hosts.access import HostAccess
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.errors import explainer
from stepway.hosts.host import HostRepository, Permission
from stepway.hosts.http import HostHttp
from stepway.hosts.pace import Pace
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


PATIENCE = (0.5, 1.0, 2.0)
"""Seconds between tries while the host does not show what was created a moment ago."""


class GitLabApi:
    """Requests to one GitLab host. Its tokens of all types are taken as `Bearer`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        access: HostAccess,
        pace: Pace | None = None,
        patience: Sequence[float] = PATIENCE,
    ) -> None:
        self.access = access
        self.patience = patience
        api = f"{access.url}/api/v4"
        self.http = HostHttp(client, access, api, explainer(access), pace=pace)

    @property
    def account(self) -> str:
        """The owner of new repositories where a step names none; empty if not stored."""
        return self.access.account

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


def is_taken(error: HostError) -> bool:
    """Whether the object exists already."""
    return error.reason is Reason.NAME_TAKEN


Json = dict[str, Any]
