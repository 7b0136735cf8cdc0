"""Workflows of Actions, and commit statuses."""

from __future__ import annotations

import json
from typing import Any

from stepway.hosts.gitea.api import GiteaApi, quoted, repository_path
from stepway.hosts.host import CommitStatus, HostRepository


class Actions(GiteaApi):
    """Starts workflows and reports statuses."""

    async def dispatch(
        self, repository: HostRepository, workflow: str, ref: str, inputs: dict[str, Any]
    ) -> str:
        """Start a workflow, given by its file name; return the run's URL.

        Hosts that do not tell the run are asked no further: the URL is then that of all runs.
        """
        path = f"{repository_path(repository)}/actions/workflows/{quoted(workflow)}/dispatches"
        # Each of the two hosts ignores the other's way to ask for the run.
        run = await self.http.call(
            "POST",
            path,
            {
                "ref": ref,
                "inputs": {name: _text(value) for name, value in inputs.items()},
                "return_run_info": True,
            },
            params={"return_run_details": "true"},
        )
        runs = f"{repository.web_url}/actions"
        if run and run.get("html_url"):
            return str(run["html_url"])
        return f"{runs}/runs/{run['run_number']}" if run and run.get("run_number") else runs

    async def set_commit_status(
        self, repository: HostRepository, commit: str, status: CommitStatus
    ) -> None:
        """Report a status; the newest of a context counts."""
        body = {
            "context": status.context,
            "state": status.state,
            "description": status.description,
            "target_url": status.url,
        }
        path = f"{repository_path(repository)}/statuses/{quoted(commit)}"
        await self.http.call("POST", path, body)


def _text(value: Any) -> str:
    """Return an input as text, the only type that the API takes."""
    return value if isinstance(value, str) else json.dumps(value)
