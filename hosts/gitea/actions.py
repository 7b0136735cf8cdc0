"""Workflows of Actions, and commit statuses."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from stepway.hosts.client import Json
from stepway.hosts.errors import UNCERTAIN, HostError
from stepway.hosts.gitea.api import PAGE, GiteaApi, quoted, repository_path
from stepway.hosts.host import CommitStatus, HostRepository


class Actions(GiteaApi):
    """Starts workflows and reports statuses."""

    async def dispatch(
        self, repository: HostRepository, workflow: str, ref: str, inputs: dict[str, Any]
    ) -> str:
        """Start a workflow, given by its file name; return the run's URL.

        Older hosts do not tell the run: the URL is then that of all runs. After an uncertain
        answer, a run of the workflow that is newer than all before counts as the one asked for.
        """
        path = f"{repository_path(repository)}/actions/workflows/{quoted(workflow)}/dispatches"
        # Each of the two hosts ignores the other's way to ask for the run.
        body = {
            "ref": ref,
            "inputs": {name: _text(value) for name, value in inputs.items()},
            "return_run_info": True,
        }
        newest = await self._newest_run(repository, workflow)
        try:
            run = await self.http.call("POST", path, body, params={"return_run_details": "true"})
        except HostError as error:
            if error.reason not in UNCERTAIN:
                raise
            run = await self._newer_run(repository, workflow, newest)
            if run is None:
                raise
        runs = f"{repository.web_url}/actions"
        if run and run.get("html_url"):
            return str(run["html_url"])
        return f"{runs}/runs/{run['run_number']}" if run and run.get("run_number") else runs

    async def _newest_run(self, repository: HostRepository, workflow: str) -> Json | None:
        """Return the newest run of a workflow; None on hosts that do not list runs."""
        path = f"{repository_path(repository)}/actions/runs"
        wanted = {"event": "workflow_dispatch", **PAGE}
        found = await self.http.call("GET", path, params=wanted, missing=True)
        runs = [
            run
            for run in (found or {}).get("workflow_runs") or ()
            # Forgejo names the file, Gitea `ci.yml@refs/heads/main`.
            if (run.get("workflow_id") or run.get("path", "").partition("@")[0]) == workflow
        ]
        return max(runs, key=lambda run: int(run["id"]), default=None)

    async def _newer_run(
        self, repository: HostRepository, workflow: str, newest: Json | None
    ) -> Json | None:
        for pause in self.patience:
            await asyncio.sleep(pause)
            run = await self._newest_run(repository, workflow)
            if run is not None and (newest is None or run["id"] > newest["id"]):
                return run
        return None

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
