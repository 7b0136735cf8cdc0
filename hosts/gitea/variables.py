"""Secrets and variables of Actions."""

from __future__ import annotations

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitea.api import GiteaApi, quoted, repository_path
from stepway.hosts.gitea.environments import no_environments
from stepway.hosts.host import HostRepository


class Variables(GiteaApi):
    """Secrets and variables of a repository; none belong to an environment."""

    async def put_secret(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Store a secret, which the host encrypts."""
        await self.http.call(
            "PUT", _path(repository, "secrets", name, environment), {"data": value}
        )

    async def remove_secret(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Delete a secret."""
        path = _path(repository, "secrets", name, environment)
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success

    async def put_variable(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Store a variable."""
        path, body = _path(repository, "variables", name, environment), {"value": value}
        if await self._update(path, body):
            return
        try:
            await self.http.call("POST", path, body)
        except HostError as error:
            if not error.is_taken or not await self._update(path, body):
                raise

    async def remove_variable(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Delete a variable."""
        path = _path(repository, "variables", name, environment)
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success

    async def _update(self, path: str, body: dict[str, str]) -> bool:
        response, _ = await self.http.answer("PUT", path, body, missing=True)
        return response.is_success


def _path(repository: HostRepository, kind: str, name: str, environment: str | None) -> str:
    if environment is not None:
        raise no_environments()
    if not name:
        raise HostError(Reason.INVALID, f"One of the {kind} has no name")
    return f"{repository_path(repository)}/actions/{kind}/{quoted(name)}"
