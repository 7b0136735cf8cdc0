"""Merge requests."""

from __future__ import annotations

from stepway.hosts.client import Json
from stepway.hosts.errors import HostError
from stepway.hosts.gitlab.api import GitLabApi, project_path
from stepway.hosts.host import HostRepository, PullRequest, PullRequestSpec

_STATES = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}


class MergeRequests(GitLabApi):
    """Merge requests within a project; their number is GitLab's `iid`."""

    async def open_pull_request(
        self, repository: HostRepository, spec: PullRequestSpec
    ) -> PullRequest:
        """Open a merge request, or return the open one between the same branches."""
        path = f"{project_path(repository)}/merge_requests"
        branches = {"source_branch": spec.head, "target_branch": spec.base}
        body = {**branches, "title": spec.title, "description": spec.body}
        try:
            return _pull_request(await self.http.call("POST", path, body))
        except HostError as error:
            if not error.is_taken:
                raise
            params = {**branches, "state": "opened"}
            for known in await self.http.call("GET", path, params=params):
                return _pull_request(known)
            raise

    async def find_pull_request(self, repository: HostRepository, number: int) -> PullRequest:
        """Return a merge request."""
        return _pull_request(await self.http.call("GET", _path(repository, number)))

    async def close_pull_request(self, repository: HostRepository, number: int) -> bool:
        """Close an open merge request."""
        found = await self.http.call("GET", _path(repository, number), missing=True)
        if found is None or _STATES[found["state"]] != "open":
            return False
        await self.http.call("PUT", _path(repository, number), {"state_event": "close"})
        return True


def _path(repository: HostRepository, number: int) -> str:
    return f"{project_path(repository)}/merge_requests/{number}"


def _pull_request(data: Json) -> PullRequest:
    body = str(data.get("description") or "")
    return PullRequest(int(data["iid"]), data["web_url"], _STATES[data["state"]], body)
