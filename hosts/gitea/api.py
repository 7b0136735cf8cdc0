"""What all parts of the client of Gitea and Forgejo share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from stepway.hosts.access import HostAccess
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitea.errors import explainer
from stepway.hosts.host import HostRepository, Permission
from stepway.hosts.http import HostHttp
from stepway.hosts.pace import Pace
from stepway.hosts.paths import one_segment

PERMISSIONS = {
    Permission.READ: "read",
    Permission.TRIAGE: "read",
    Permission.WRITE: "write",
    Permission.MAINTAIN: "write",
    Permission.ADMIN: "admin",
}

PAGE = {"limit": 50}
"""The size of a page; 50 is the most that a host allows unless it is configured otherwise."""

Json = dict[str, Any]


PATIENCE = (0.5, 1.0, 2.0)
"""Seconds between tries while the host does not show what was created a moment ago."""


class GiteaApi:
    """Requests to one Gitea or Forgejo host."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        access: HostAccess,
        pace: Pace | None = None,
        patience: Sequence[float] = PATIENCE,
    ) -> None:
        self.access = access
        self.patience = patience
        api = f"{access.url}/api/v1"
        self.http = HostHttp(client, access, api, explainer(access), pace=pace)

    @property
    def account(self) -> str:
        """The owner of new repositories where a step names none; empty if not stored."""
        return self.access.account


def repository_path(repository: HostRepository) -> str:
    """Return the API's path of a repository; a renamed one redirects."""
    return f"repos/{quoted(repository.owner)}/{quoted(repository.name)}"


def quoted(name: str) -> str:
    """Return a name as one segment of a URL. Raises HostError INVALID."""
    return one_segment(name)


def is_taken(error: HostError) -> bool:
    """Whether the object exists already."""
    return error.reason is Reason.NAME_TAKEN
