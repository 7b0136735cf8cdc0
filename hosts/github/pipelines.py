"""Environments, secrets and variables of GitHub Actions, and starting a workflow."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

from nacl.encoding import Base64Encoder
from nacl.public import PublicKey, SealedBox

from stepway.hosts.errors import UNCERTAIN, HostError, Reason
from stepway.hosts.github.api import segment
from stepway.hosts.github.calls import GitHubCalls
from stepway.hosts.host import DeployEnvironment, HostRepository

_CLOCKS_APART = timedelta(seconds=5)


class Pipelines(GitHubCalls):
    """Prepares what workflows use, and starts them."""

    async def put_environment(
        self, repository: HostRepository, environment: DeployEnvironment
    ) -> None:
        """Create or update an environment.

        GitHub asks for one approval by any of the reviewers, whatever `approvals` says.
        """
        reviewers = [await self._reviewer(repository, name) for name in environment.reviewers]
        body = {
            "wait_timer": environment.wait,
            "reviewers": reviewers,
            "deployment_branch_policy": None,
        }
        if not reviewers and not environment.wait:
            # A plan may lack protection rules: they are sent only where they are asked for.
            body = {}
        await self._written(repository, "PUT", _environment(environment.name), body)

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

    async def dispatch(
        self, repository: HostRepository, workflow: str, ref: str, inputs: dict[str, Any]
    ) -> str:
        """Start a workflow, named by its file; return the URL of its runs.

        A workflow that was pushed a moment ago may be "not found": it is tried again. After an
        uncertain answer, a run of this account that has begun since counts as the one asked for.
        """
        file = workflow.rpartition("/")[2]
        body = {"ref": ref, "inputs": {name: _input(value) for name, value in inputs.items()}}
        path = f"/actions/workflows/{segment(file)}"
        begun = datetime.now(UTC) - _CLOCKS_APART
        try:
            await self._written(repository, "POST", f"{path}/dispatches", body)
        except HostError as error:
            if error.reason not in UNCERTAIN or not await self._runs(repository, path, begun):
                raise
        return f"{repository.web_url}/actions/workflows/{segment(file)}"

    async def _runs(self, repository: HostRepository, path: str, since: datetime) -> bool:
        """Whether a run that this account has asked for shows up since a time."""
        wanted = {
            "event": "workflow_dispatch",
            "created": f">={since:%Y-%m-%dT%H:%M:%SZ}",
            "actor": await self._own_login(),
        }
        for pause in self.patience:
            await asyncio.sleep(pause)
            found = await self.http.call(
                "GET", self._path(repository, f"{path}/runs"), params=wanted, missing=True
            )
            if found and found["total_count"]:
                return True
        return False

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


def sealed(public_key: str, value: str) -> str:
    """Return the value in a sealed box for a key in base64, in base64."""
    box = SealedBox(PublicKey(public_key.encode(), Base64Encoder))
    return b64encode(box.encrypt(value.encode())).decode()


def _environment(name: str) -> str:
    return f"/environments/{segment(name)}"


def _store(environment: str | None, kind: str) -> str:
    return f"/actions/{kind}" if environment is None else f"{_environment(environment)}/{kind}"


def _input(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
