"""One GitLab host as one account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from stepway.hosts.access import HostAccess, HostKind
from stepway.hosts.client import PATIENCE
from stepway.hosts.features import features_of
from stepway.hosts.gitlab.branches import Branches
from stepway.hosts.gitlab.environments import Environments
from stepway.hosts.gitlab.errors import explainer
from stepway.hosts.gitlab.identity import Tokens
from stepway.hosts.gitlab.keys import DeployKeys
from stepway.hosts.gitlab.merge_requests import MergeRequests
from stepway.hosts.gitlab.people import People
from stepway.hosts.gitlab.pipelines import Pipelines
from stepway.hosts.gitlab.repositories import Repositories
from stepway.hosts.gitlab.variables import Variables
from stepway.hosts.gitlab.webhooks import Webhooks
from stepway.hosts.host import GitHost
from stepway.hosts.http import HostHttp, http_client
from stepway.hosts.pace import Pace
from stepway.hosts.reading import reads_answers


@reads_answers
class GitLabHost(
    Tokens,
    Repositories,
    People,
    Environments,
    Variables,
    DeployKeys,
    Webhooks,
    Branches,
    MergeRequests,
    Pipelines,
):
    """GitHost for GitLab; teams are groups, pull requests are merge requests."""

    kind = HostKind.GITLAB
    features = features_of(HostKind.GITLAB)


@asynccontextmanager
async def open_gitlab(
    access: HostAccess, *, pace: Pace | None = None, patience: Sequence[float] = PATIENCE
) -> AsyncIterator[GitHost]:
    """Open a GitLab host.

    `pace` spaces the requests that write. `patience` are the pauses between tries while something
    new is "not found".
    """
    async with http_client(access.ca) as client:
        http = HostHttp(client, access, f"{access.url}/api/v4", explainer(access), pace=pace)
        yield GitLabHost(http, access, patience)
