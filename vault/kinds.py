"""The kinds of credentials: what a secret is, and where it signs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class CredentialKind(StrEnum):
    """What a secret is. A credential without a kind is a plain secret."""

    GITHUB = "github"
    """A token of a person or machine user on GitHub."""
    GITHUB_APP = "github-app"
    """The private key of a GitHub App."""
    GITLAB = "gitlab"
    """A personal, group or project token of GitLab, or an OAuth token that is refreshed."""
    GITEA = "gitea"
    """A token of Gitea or Forgejo."""
    KUBERNETES = "kubernetes"
    """A kubeconfig, or the service account of the worker's own pod."""
    SSH = "ssh"
    """A private SSH key."""
    BASIC = "basic"
    """A password; the account is the user name."""


GIT_HOSTS = frozenset(
    {
        CredentialKind.GITHUB,
        CredentialKind.GITHUB_APP,
        CredentialKind.GITLAB,
        CredentialKind.GITEA,
    }
)
"""The kinds that sign in to a Git host's API."""

IN_CLUSTER = "in-cluster"
"""The value of a Kubernetes credential that stands for the pod's service account."""


@dataclass(frozen=True)
class Target:
    """Where a credential signs in.

    `kind` is a CredentialKind, or another text that a newer version has stored. `url` is the
    host's address as people open it. `ca` is PEM with the authorities to trust in place of the
    public ones; for `ssh`, the host's public keys as in known_hosts. `options` has the `app_id` of
    a GitHub App, and the `known_hosts` of a Git host's SSH server.
    """

    kind: str | None = None
    url: str = ""
    ca: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)


PLAIN = Target()
"""The target of a plain secret."""
