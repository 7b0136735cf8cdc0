"""The client of each kind of host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from stepway.hosts.access import HostAccess, HostKind
from stepway.hosts.gitea.host import open_gitea
from stepway.hosts.github.client import open_github
from stepway.hosts.gitlab.host import open_gitlab
from stepway.hosts.host import GitHost

_OPENERS: dict[HostKind, Callable[[HostAccess], AbstractAsyncContextManager[GitHost]]] = {
    HostKind.GITHUB: open_github,
    HostKind.GITLAB: open_gitlab,
    HostKind.GITEA: open_gitea,
}


@asynccontextmanager
async def open_git_host(access: HostAccess) -> AsyncIterator[GitHost]:
    """Open the host of this access, which is not the local one."""
    async with _OPENERS[access.kind](access) as host:
        yield host
