"""Pull requests."""

from __future__ import annotations

from stepway.hosts.client import Json
from stepway.hosts.errors import HostError
from stepway.hosts.gitea.api import PAGE, GiteaApi, repository_path
from stepway.hosts.host import HostRepository, PullRequest, PullRequestSpec


class PullRequests(GiteaApi):
    """Pull requests within a repository."""

    async def open_pull_request(
        self, repository: HostRepository, spec: PullRequestSpec
    ) -> PullRequest:
        """Open a pull request, or return the open one between the same branches."""
        path = f"{repository_path(repository)}/pulls"
        body = {"head": spec.head, "base": spec.base, "title": spec.title, "body": spec.body}
        try:
            return _pull_request(await self.http.call("POST", path, body))
        except HostError as error:
            if not error.is_taken:
                raise
            async for known in self.http.pages(path, {"state": "open", **PAGE}):
                if (known["head"]["ref"], known["base"]["ref"]) == (spec.head, spec.base):
                    return _pull_request(known)
            raise

    async def find_pull_request(self, repository: HostRepository, number: int) -> PullRequest:
        """Return a pull request."""
        path = f"{repository_path(repository)}/pulls/{number}"
        return _pull_request(await self.http.call("GET", path))

    async def close_pull_request(self, repository: HostRepository, number: int) -> bool:
        """Close an open pull request."""
        path = f"{repository_path(repository)}/pulls/{number}"
        found = await self.http.call("GET", path, missing=True)
        if found is None or _pull_request(found).state != "open":
            return False
        await self.http.call("PATCH", path, {"state": "closed"})
        return True


def _pull_request(data: Json) -> PullRequest:
    state = "merged" if data.get("merged") else data["state"]
    return PullRequest(int(data["number"]), data["html_url"], state, str(data.get("body") or ""))
