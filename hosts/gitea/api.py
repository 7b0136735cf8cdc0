"""What all parts of the client of Gitea and Forgejo share."""

from __future__ import annotations

from stepway.hosts.client import HostClient
from stepway.hosts.host import HostRepository, Permission
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


class GiteaApi(HostClient):
    """Requests to one Gitea or Forgejo host."""


def repository_path(repository: HostRepository) -> str:
    """Return the API's path of a repository; a renamed one redirects."""
    return f"repos/{quoted(repository.owner)}/{quoted(repository.name)}"


def quoted(name: str) -> str:
    """Return a name as one segment of a URL. Raises HostError INVALID."""
    return one_segment(name)
