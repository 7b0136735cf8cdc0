"""One Gitea or Forgejo host as one account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from stepway.hosts.access import HostAccess, HostKind
from stepway.hosts.client import PATIENCE
from stepway.hosts.features import features_of
from stepway.hosts.gitea.actions import Actions
from stepway.hosts.gitea.branches import Branches
from stepway.hosts.gitea.environments import Environments
from stepway.hosts.gitea.errors import explainer
from stepway.hosts.gitea.keys import DeployKeys
from stepway.hosts.gitea.people import People
from stepway.hosts.gitea.pull_requests import PullRequests
from stepway.hosts.gitea.repositories import Repositories
from stepway.hosts.gitea.variables import Variables
from stepway.hosts.gitea.webhooks import Webhooks
from stepway.hosts.host import GitHost
from stepway.hosts.http import HostHttp, http_client
from stepway.hosts.pace import Pace
from stepway.hosts.reading import reads_answers


@reads_answers
class GiteaHost(
    Repositories,
    People,
    Environments,
    Variables,
    DeployKeys,
    Webhooks,
    Branches,
    PullRequests,
    Actions,
):
    """GitHost for Gitea and Forgejo, which have no deployment environments."""

    kind = HostKind.GITEA
    features = features_of(HostKind.GITEA)


@asynccontextmanager
async def open_gitea(
    access: HostAccess, *, pace: Pace | None = None, patience: Sequence[float] = PATIENCE
) -> AsyncIterator[GitHost]:
    """Open a Gitea or Forgejo host.

    `pace` spaces the requests that write. `patience` are the pauses between tries while something
    new is "not found".
    """
    async with http_client(access.ca) as client:
        http = HostHttp(client, access, f"{access.url}/api/v1", explainer(access), pace=pace)
        yield GiteaHost(http, access, patience)
