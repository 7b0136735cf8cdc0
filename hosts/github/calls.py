"""What all parts of GitHub's client share: paths, and patience with what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from stepway.hosts.client import HostClient
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github.api import segment
from stepway.hosts.github.app import AppTokens
from stepway.hosts.host import HostRepository


class GitHubCalls(HostClient):
    """Requests about repositories of one account."""

    _login: str | None = None

    @property
    def _host(self) -> str:
        return urlsplit(self.access.url).netloc

    def _path(self, repository: HostRepository, path: str = "") -> str:
        return f"repos/{segment(repository.owner)}/{segment(repository.name)}{path}"

    async def _own_login(self) -> str:
        """Return the name of the token's account; of an App, the name of its bot."""
        if self._login is None:
            tokens = self.access.tokens
            if isinstance(tokens, AppTokens):
                self._login = f"{await tokens.name()}[bot]"
            else:
                self._login = str((await self.http.call("GET", "user"))["login"])
        return self._login

    async def _written(
        self, repository: HostRepository, method: str, path: str, body: Any = None
    ) -> Any:
        """Change a part of the repository. "Not found" is tried again: it may be too new."""
        return await self._until_visible(repository, method, self._path(repository, path), body)

    async def _until_visible(
        self, repository: HostRepository, method: str, path: str, body: Any = None
    ) -> Any:
        for pause in self.patience:
            try:
                return await self.http.call(method, path, body)
            except HostError as error:
                if error.reason is not Reason.NOT_FOUND:
                    raise
            await asyncio.sleep(pause)
        try:
            return await self.http.call(method, path, body)
        except HostError as error:
            if error.reason is Reason.NOT_FOUND:
                await self._check_visible(repository)
            raise

    async def _added(
        self,
        repository: HostRepository,
        path: str,
        body: Any,
        find: Callable[[], Awaitable[Any]],
    ) -> Any:
        """Add a part of the repository, and return it.

        If it exists already, an earlier attempt has added it, and it may be too new for a list:
        `find` looks for it some times. Raises HostError NAME_TAKEN if `find` returns only None.
        """
        try:
            return await self._written(repository, "POST", path, body)
        except HostError as error:
            if error.reason is not Reason.NAME_TAKEN:
                raise
            for pause in self.patience:
                if (found := await find()) is not None:
                    return found
                await asyncio.sleep(pause)
            raise

    async def _removed(self, repository: HostRepository, path: str) -> bool:
        """Delete a part of the repository; False if it is not there."""
        try:
            await self.http.call("DELETE", self._path(repository, path))
        except HostError as error:
            if error.reason is Reason.NOT_FOUND:
                return False
            raise
        return True

    async def _check_visible(self, repository: HostRepository) -> None:
        found = await self.http.call("GET", self._path(repository), missing=True)
        if found is None:
            raise HostError(
                Reason.CONFLICT,
                f"{self._host} does not show {repository.owner}/{repository.name}",
                remedy="If it was deleted, retry from create_repository; if it is new, wait and "
                "retry.",
            )
