"""One Gitea or Forgejo host as one account."""

from __future__ import annotations

from stepway.hosts.access import HostKind
from stepway.hosts.gitea.actions import Actions
from stepway.hosts.gitea.branches import Branches
from stepway.hosts.gitea.environments import Environments
from stepway.hosts.gitea.identity import Tokens
from stepway.hosts.gitea.keys import DeployKeys
from stepway.hosts.gitea.people import People
from stepway.hosts.gitea.pull_requests import PullRequests
from stepway.hosts.gitea.repositories import Repositories
from stepway.hosts.gitea.variables import Variables
from stepway.hosts.gitea.webhooks import Webhooks
from stepway.hosts.host import Feature, GitHost


class GiteaHost(
    Tokens,
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
    features = frozenset(Feature) - {
        Feature.ENVIRONMENTS,
        Feature.ENVIRONMENT_REVIEWERS,
        Feature.ENVIRONMENT_WAIT,
        Feature.ENVIRONMENT_SECRETS,
    }


_: type[GitHost] = GiteaHost
