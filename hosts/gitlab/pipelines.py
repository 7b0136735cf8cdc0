"""Pipelines and commit statuses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from stepway.hosts.client import Json
from stepway.hosts.errors import UNCERTAIN, HostError
from stepway.hosts.gitlab.api import GitLabApi, project_path, quoted
from stepway.hosts.host import CommitStatus, HostRepository

_STATES = {"pending": "pending", "success": "success", "failure": "failed"}

_CLOCKS_APART = timedelta(seconds=5)
_LONGEST = 255
"""Characters of a status's description."""


class Pipelines(GitLabApi):
    """Starts pipelines, and reports statuses, which GitLab shows as external jobs."""

    async def dispatch(
        self, repository: HostRepository, workflow: str, ref: str, inputs: dict[str, Any]
    ) -> str:
        """Start a pipeline. A project has only one definition: `workflow` is not used.

        `inputs` are the pipeline's inputs, which `spec:inputs` in .gitlab-ci.yml defines. After an
        uncertain answer, a pipeline that has begun since counts as the one asked for.
        """
        body = {"ref": ref, **({"inputs": inputs} if inputs else {})}
        begun = datetime.now(UTC) - _CLOCKS_APART
        try:
            made = await self.http.call("POST", f"{project_path(repository)}/pipeline", body)
        except HostError as error:
            if error.reason not in UNCERTAIN:
                raise
            made = await self._pipeline(repository, ref, begun)
            if made is None:
                raise
        return str(made["web_url"])

    async def _pipeline(self, repository: HostRepository, ref: str, since: datetime) -> Json | None:
        """Return a pipeline that this account has started over the API since a time."""
        wanted = {
            "ref": ref,
            "source": "api",
            "username": (await self.http.call("GET", "user"))["username"],
            "created_after": f"{since:%Y-%m-%dT%H:%M:%SZ}",
        }
        for pause in self.patience:
            await asyncio.sleep(pause)
            path = f"{project_path(repository)}/pipelines"
            for found in await self.http.call("GET", path, params=wanted) or ():
                # Older hosts do not know `created_after`.
                if datetime.fromisoformat(found["created_at"]) >= since:
                    return dict(found)
        return None

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
