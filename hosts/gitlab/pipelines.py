"""Pipelines and commit statuses."""

from __future__ import annotations

from typing import Any

from stepway.hosts.errors import HostError
from stepway.hosts.gitlab.api import GitLabApi, project_path, quoted
from stepway.hosts.host import CommitStatus, HostRepository

_STATES = {"pending": "pending", "success": "success", "failure": "failed"}

_LONGEST = 255
"""Characters of a status's description."""


class Pipelines(GitLabApi):
    """Starts pipelines, and reports statuses, which GitLab shows as external jobs."""

    async def dispatch(
        self, repository: HostRepository, workflow: str, ref: str, inputs: dict[str, Any]
    ) -> str:
        """Start a pipeline. A project has only one definition: `workflow` is not used.

        `inputs` are the pipeline's inputs, which `spec:inputs` in .gitlab-ci.yml defines.
        """
        body = {"ref": ref, **({"inputs": inputs} if inputs else {})}
        found = await self.http.call("POST", f"{project_path(repository)}/pipeline", body)
        return str(found["web_url"])

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
