"""Workflows of Actions, and commit statuses."""

from __future__ import annotations

import json
from typing import Any

from stepway.hosts.client import Json
from stepway.hosts.dispatches import Dispatches
from stepway.hosts.gitea.api import PAGE, GiteaApi, quoted, repository_path
from stepway.hosts.host import CommitStatus, HostRepository, PipelineRun


class Actions(GiteaApi, Dispatches):
    """Starts workflows and reports statuses."""

    async def newest_run(
        self, repository: HostRepository, workflow: str, ref: str
    ) -> PipelineRun | None:
        """Return the newest run of a workflow; None on hosts that do not list runs."""
        path = f"{repository_path(repository)}/actions/runs"
        wanted = {"event": "workflow_dispatch", **PAGE}
        found = await self.http.call("GET", path, params=wanted, missing=True)
        if found is None:
            return None
        runs = [
            PipelineRun(int(run["id"]), _run_url(repository, run))
            for run in found.get("workflow_runs") or ()
            # Forgejo names the file, Gitea `ci.yml@refs/heads/main`.
            if (run.get("workflow_id") or run.get("path", "").partition("@")[0]) == workflow
        ]
        return max(runs, key=lambda run: run.id, default=PipelineRun(0))

    async def _start(
        self, repository: HostRepository, workflow: str, ref: str, inputs: dict[str, Any]
    ) -> str:
        """Start a workflow, given by its file name; return the run's URL.

        Older hosts do not tell the run: the URL is then that of all runs.
        """
        path = f"{repository_path(repository)}/actions/workflows/{quoted(workflow)}/dispatches"
        # Each of the two hosts ignores the other's way to ask for the run.
        body = {
            "ref": ref,
            "inputs": {name: _text(value) for name, value in inputs.items()},
            "return_run_info": True,
        }
        run = await self.http.call("POST", path, body, params={"return_run_details": "true"})
        return _run_url(repository, run or {})

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


def _run_url(repository: HostRepository, run: Json) -> str:
    runs = f"{repository.web_url}/actions"
    if run.get("html_url"):
        return str(run["html_url"])
    return f"{runs}/runs/{run['run_number']}" if run.get("run_number") else runs


def _text(value: Any) -> str:
    """Return an input as text, the only type that the API takes."""
    return value if isinstance(value, str) else json.dumps(value)
