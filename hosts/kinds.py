"""The client of each kind of host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from stepway.hosts.access import HostAccess, HostKind
from stepway.hosts.gitea.host import GiteaHost
from stepway.hosts.github.client import open_github
from stepway.hosts.gitlab.host import GitLabHost
from stepway.hosts.host import GitHost
from stepway.hosts.http import http_client

_CLIENTS: dict[HostKind, Callable[[httpx.AsyncClient, HostAccess], GitHost]] = {
    HostKind.GITLAB: GitLabHost,
    HostKind.GITEA: GiteaHost,
}


@asynccontextmanager
async def open_git_host(access: HostAccess) -> AsyncIterator[GitHost]:
    """Open the host of this access, which is not the local one."""
    if access.kind is HostKind.GITHUB:
        async with open_github(access) as host:
            yield host
        return
    async with http_client(access.ca) as client:
        yield _CLIENTS[access.kind](client, access)
