"""What all parts of GitHub's client share: paths, and patience with what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from stepway.hosts.access import HostAccess
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import HostRepository
from stepway.hosts.http import HostHttp

PATIENCE = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries while GitHub does not show what was created a moment ago."""

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


def api_of(url: str) -> str:
    """Return the address of the API of github.com, or of the GitHub Enterprise at `url`."""
    if urlsplit(url).netloc.removeprefix("www.") == "github.com":
        return "https://api.github.com"
    return f"{url.rstrip('/')}/api/v3"


def segment(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")


class GitHubCalls:
    """Requests about repositories of one account."""

    def __init__(
        self, http: HostHttp, access: HostAccess, patience: Sequence[float] = PATIENCE
    ) -> None:
        self._http = http
        self._access = access
        self._patience = patience

    @property
    def _host(self) -> str:
        return urlsplit(self._access.url).netloc

    def _path(self, repository: HostRepository, path: str = "") -> str:
        return f"repos/{segment(repository.owner)}/{segment(repository.name)}{path}"

    async def _written(
        self, repository: HostRepository, method: str, path: str, body: Any = None
    ) -> Any:
        """Change a part of the repository. "Not found" is tried again: it may be too new."""
        return await self._until_visible(repository, method, self._path(repository, path), body)

    async def _until_visible(
        self, repository: HostRepository, method: str, path: str, body: Any = None
    ) -> Any:
        for pause in self._patience:
            try:
                return await self._http.call(method, path, body)
            except HostError as error:
                if error.reason is not Reason.NOT_FOUND:
                    raise
            await asyncio.sleep(pause)
        try:
            return await self._http.call(method, path, body)
        except HostError as error:
            if error.reason is Reason.NOT_FOUND:
                await self._check_visible(repository)
            raise

    async def _removed(self, repository: HostRepository, path: str) -> bool:
        """Delete a part of the repository; False if it is not there."""
        try:
            await self._http.call("DELETE", self._path(repository, path))
        except HostError as error:
            if error.reason is Reason.NOT_FOUND:
                return False
            raise
        return True

    async def _check_visible(self, repository: HostRepository) -> None:
        found = await self._http.call("GET", self._path(repository), missing=True)
        if found is None:
            raise HostError(
                Reason.CONFLICT,
                f"{self._host} does not show {repository.owner}/{repository.name}",
                remedy="If it was deleted, retry from create_repository; if it is new, wait and "
                "retry.",
            )
