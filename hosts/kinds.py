"""The client of each kind of host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from stepway.hosts.access import HostAccess, HostKind
from stepway.hosts.gitea.host import open_gitea
from stepway.hosts.github.client import budget_of, open_github
from stepway.hosts.gitlab.host import open_gitlab
from stepway.hosts.host import GitHost
from stepway.hosts.pace import Budget, Pace


class _Open(Protocol):
    def __call__(
        self, access: HostAccess, *, pace: Pace | None = None
    ) -> AbstractAsyncContextManager[GitHost]: ...


_OPENERS: dict[HostKind, _Open] = {
    HostKind.GITHUB: open_github,
    HostKind.GITLAB: open_gitlab,
    HostKind.GITEA: open_gitea,
}


def budget(access: HostAccess) -> Budget | None:
    """Return how much a credential may write; None where the host sets no limit of its own."""
    return budget_of(access) if access.kind is HostKind.GITHUB else None


@asynccontextmanager
async def open_git_host(access: HostAccess, pace: Pace | None = None) -> AsyncIterator[GitHost]:
    """Open the host of this access, which is not the local one; `pace` spaces what it writes."""
    async with _OPENERS[access.kind](access, pace=pace) as host:
        yield host
