"""What each kind of host has: clients, checks and documentation are made from this table."""

from __future__ import annotations

from collections.abc import Mapping

from stepway.hosts.access import HostKind
from stepway.hosts.host import Feature

YES, NO = "yes", "no"

HOST_NAMES = {
    HostKind.LOCAL: "the local host",
    HostKind.GITHUB: "GitHub",
    HostKind.GITLAB: "GitLab",
    HostKind.GITEA: "Gitea or Forgejo",
}

FEATURE_NAMES = {
    Feature.TOPICS: "topics",
    Feature.INTERNAL_VISIBILITY: "the visibility `internal`",
    Feature.COLLABORATORS: "collaborators",
    Feature.TEAMS: "teams or groups with access",
    Feature.ENVIRONMENTS: "deployment environments",
    Feature.ENVIRONMENT_REVIEWERS: "reviewers of deployments",
    Feature.ENVIRONMENT_WAIT: "a waiting time before deployments",
    Feature.SECRETS: "secrets for pipelines",
    Feature.VARIABLES: "variables for pipelines",
    Feature.ENVIRONMENT_SECRETS: "secrets and variables of an environment",
    Feature.DEPLOY_KEYS: "deploy keys",
    Feature.WEBHOOKS: "webhooks",
    Feature.BRANCH_PROTECTION: "protected branches",
    Feature.FORCE_PUSH: "force pushes to a protected branch",
    Feature.PULL_REQUESTS: "pull or merge requests",
    Feature.DISPATCH: "pipelines to start",
    Feature.COMMIT_STATUS: "statuses of commits",
}
"""Each feature as people call it."""

_EVERYWHERE = {HostKind.GITHUB: YES, HostKind.GITLAB: YES, HostKind.GITEA: YES}
_NO_ENVIRONMENTS = {**_EVERYWHERE, HostKind.GITEA: NO}

SUPPORT: Mapping[Feature, Mapping[HostKind, str]] = {
    **dict.fromkeys(FEATURE_NAMES, _EVERYWHERE),
    Feature.INTERNAL_VISIBILITY: {
        HostKind.GITHUB: "in organizations of an enterprise",
        HostKind.GITLAB: YES,
        HostKind.GITEA: "in organizations whose visibility is limited",
    },
    Feature.ENVIRONMENTS: _NO_ENVIRONMENTS,
    Feature.ENVIRONMENT_SECRETS: _NO_ENVIRONMENTS,
    Feature.ENVIRONMENT_REVIEWERS: {
        HostKind.GITHUB: "private repositories: with GitHub Enterprise",
        HostKind.GITLAB: "with GitLab Premium",
        HostKind.GITEA: NO,
    },
    Feature.ENVIRONMENT_WAIT: {
        HostKind.GITHUB: "private repositories: with GitHub Enterprise",
        HostKind.GITLAB: NO,
        HostKind.GITEA: NO,
    },
    Feature.FORCE_PUSH: {
        HostKind.GITHUB: YES,
        HostKind.GITLAB: YES,
        HostKind.GITEA: "with Gitea, not with Forgejo",
    },
}
"""YES, NO, or the condition under which a host has a feature. The local host has none of them."""


def features_of(kind: HostKind) -> frozenset[Feature]:
    """Return the features that a kind of host has, or may have."""
    return frozenset(feature for feature, support in SUPPORT.items() if support.get(kind, NO) != NO)
