"""Pipelines and commit statuses."""

from __future__ import annotations

from typing import Any

from stepway.hosts.dispatches import Dispatches
from stepway.hosts.errors import HostError
from stepway.hosts.gitlab.api import GitLabApi, project_path, quoted
from stepway.hosts.host import CommitStatus, HostRepository, PipelineRun

_STATES = {"pending": "pending", "success": "success", "failure": "failed"}

_LONGEST = 255
"""Characters of a status's description."""


class Pipelines(GitLabApi, Dispatches):
    """Starts pipelines, and reports statuses, which GitLab shows as external jobs."""

    async def newest_run(
        self, repository: HostRepository, workflow: str, ref: str
    ) -> PipelineRun | None:
        """Return the newest pipeline that this account has started over the API."""
        wanted = {
            "ref": ref,
            "source": "api",
            "username": (await self.http.call("GET", "user"))["username"],
            "order_by": "id",
            "sort": "desc",
            "per_page": 1,
        }
        path = f"{project_path(repository)}/pipelines"
        found = await self.http.call("GET", path, params=wanted) or ()
        return next((PipelineRun(int(run["id"]), run["web_url"]) for run in found), PipelineRun(0))

    async def _start(
        self, repository: HostRepository, workflow: str, ref: str, inputs: dict[str, Any]
    ) -> str:
        """Start a pipeline. A project has only one definition: `workflow` is not used.

        `inputs` are the pipeline's inputs, which `spec:inputs` in .gitlab-ci.yml defines.
        """
        body = {"ref": ref, **({"inputs": inputs} if inputs else {})}
        made = await self.http.call("POST", f"{project_path(repository)}/pipeline", body)
        return str(made["web_url"])

    async def set_commit_status(
        self, repository: HostRepository, commit: str, status: CommitStatus
    ) -> None:
        """Report a status; the same again changes nothing."""
        body = {
            "name": status.context,
            "state": _STATES[status.state],
            "description": status.description[:_LONGEST],
            **({"target_url": status.url} if status.url else {}),
        }
        path = f"{project_path(repository)}/statuses/{quoted(commit)}"
        try:
            await self.http.call("POST", path, body)
        except HostError as error:
            # GitLab refuses the state that the job has already.
            if "Cannot transition status" not in error.message:
                raise
