"""Environments, secrets and variables of GitHub Actions, and starting a workflow."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from nacl.encoding import Base64Encoder
from nacl.public import PublicKey, SealedBox

from stepway.hosts.dispatches import Dispatches
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github.api import segment
from stepway.hosts.github.calls import GitHubCalls
from stepway.hosts.host import DeployEnvironment, HostRepository, PipelineRun


class Pipelines(GitHubCalls, Dispatches):
    """Prepares what workflows use, and starts them."""

    async def put_environment(
        self,
        repository: HostRepository,
        environment: DeployEnvironment,
        *,
        keep_more: bool = False,
    ) -> None:
        """Create or update an environment.

        GitHub asks for one approval by any of the reviewers, whatever `approvals` says.
        """
        reviewers = [await self._reviewer(repository, name) for name in environment.reviewers]
        path = _environment(environment.name)
        found = await self.http.call("GET", self._path(repository, path), missing=True)
        body: dict[str, Any] = {}
        if reviewers or environment.wait:
            # A request replaces all of an environment.
            body = _with_others(found or {}, reviewers, environment.wait, keep_more)
        elif found is not None:
            return
        # A plan may lack protection rules: they are sent only where they are asked for.
        await self._written(repository, "PUT", path, body)

    async def remove_environment(self, repository: HostRepository, name: str) -> bool:
        """Delete an environment."""
        return await self._removed(repository, _environment(name))

    async def put_secret(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Store a secret for workflows, encrypted for the repository's key."""
        base = _store(environment, "secrets")
        key = await self._written(repository, "GET", f"{base}/public-key")
        body = {"encrypted_value": sealed(key["key"], value), "key_id": key["key_id"]}
        await self._written(repository, "PUT", f"{base}/{segment(name)}", body)

    async def remove_secret(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Delete a secret."""
        return await self._removed(repository, f"{_store(environment, 'secrets')}/{segment(name)}")

    async def put_variable(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Store a variable for workflows."""
        base, body = _store(environment, "variables"), {"name": name, "value": value}
        path = self._path(repository, f"{base}/{segment(name)}")
        changed, _ = await self.http.answer("PATCH", path, body, missing=True)
        if changed.is_success:
            return
        try:
            await self._written(repository, "POST", base, body)
        except HostError as error:
            # Another attempt has created it since.
            if error.reason not in (Reason.NAME_TAKEN, Reason.CONFLICT):
                raise
            await self.http.call("PATCH", path, body)

    async def remove_variable(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Delete a variable."""
        return await self._removed(
            repository, f"{_store(environment, 'variables')}/{segment(name)}"
        )

    async def newest_run(
        self, repository: HostRepository, workflow: str, ref: str
    ) -> PipelineRun | None:
        """Return the newest run that this account has asked for; with ID 0 if there is none."""
        wanted = {
            "event": "workflow_dispatch",
            "actor": await self._own_login(),
            "per_page": 30,
        }
        path = self._path(repository, f"{_workflow(workflow)}/runs")
        found = await self.http.call("GET", path, params=wanted, missing=True)
        runs = [
            PipelineRun(int(run["id"]), run["html_url"])
            for run in (found or {}).get("workflow_runs") or ()
            # The branch, or the tag.
            if run.get("head_branch") in (ref, None)
        ]
        return max(runs, key=lambda run: run.id, default=PipelineRun(0))

    async def _start(
        self, repository: HostRepository, workflow: str, ref: str, inputs: dict[str, Any]
    ) -> str:
        """Start a workflow, named by its file; return the URL of its runs.

        A workflow that was pushed a moment ago may be "not found": it is tried again.
        """
        body = {"ref": ref, "inputs": {name: _input(value) for name, value in inputs.items()}}
        await self._written(repository, "POST", f"{_workflow(workflow)}/dispatches", body)
        return f"{repository.web_url}{_workflow(workflow)}"

    async def _reviewer(self, repository: HostRepository, name: str) -> dict[str, Any]:
        """Return a reviewer by its ID, as GitHub wants it. `@team` and `@org/team` are teams."""
        slug = segment(name.rpartition("/")[2].removeprefix("@"))
        team = name.startswith("@")
        path = f"orgs/{segment(repository.owner)}/teams/{slug}" if team else f"users/{slug}"
        found = await self.http.call("GET", path, missing=True)
        if found is None:
            kind = "team of the organization" if team else "account"
            raise HostError(
                Reason.NOT_FOUND,
                f"{self._host} has no {kind} {name} that the credential may see",
                remedy="Check the names of the environment's reviewers.",
                status=404,
            )
        return {"type": "Team" if team else "User", "id": found["id"]}


def _with_others(
    found: dict[str, Any], reviewers: list[dict[str, Any]], wait: int, keep_more: bool
) -> dict[str, Any]:
    """Return the rules of an environment with those that it has."""
    body: dict[str, Any] = {
        "wait_timer": wait,
        "reviewers": reviewers,
        "deployment_branch_policy": found.get("deployment_branch_policy"),
    }
    for rule in found.get("protection_rules") or ():
        if rule.get("prevent_self_review"):
            body["prevent_self_review"] = True
        if not keep_more:
            continue
        body["wait_timer"] = max(body["wait_timer"], rule.get("wait_timer") or 0)
        has = [
            {"type": one["type"], "id": one["reviewer"]["id"]}
            for one in rule.get("reviewers") or ()
        ]
        body["reviewers"] = [*has, *(one for one in reviewers if one not in has)]
    return body


def sealed(public_key: str, value: str) -> str:
    """Return the value in a sealed box for a key in base64, in base64."""
    box = SealedBox(PublicKey(public_key.encode(), Base64Encoder))
    return b64encode(box.encrypt(value.encode())).decode()


def _workflow(workflow: str) -> str:
    return f"/actions/workflows/{segment(workflow.rpartition('/')[2])}"


def _environment(name: str) -> str:
    return f"/environments/{segment(name)}"


def _store(environment: str | None, kind: str) -> str:
    return f"/actions/{kind}" if environment is None else f"{_environment(environment)}/{kind}"


def _input(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
