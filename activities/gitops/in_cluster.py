"""Sets a project's deployment up in a cluster, by applying Flux's objects there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from stepway.activities.cluster.access import OpenCluster
from stepway.activities.cluster.apply_manifests import AppliedObject, apply_all, delete_all
from stepway.activities.credentials.credentials import Credentials
from stepway.activities.credentials.refreshing import is_oauth
from stepway.activities.gitops.manifests import Deployment, objects, pull_secret, secret_name
from stepway.activities.project import ProjectRef
from stepway.hosts.access import HostKind
from stepway.vault.addresses import is_at, is_loopback
from stepway.vault.kinds import CredentialKind
from stepway.vault.vault import Secret
from stepway_tracking.record.errors import step_error

_USERS = {
    HostKind.GITHUB.value: "x-access-token",
    HostKind.GITLAB.value: "oauth2",
}
_SHORT_LIVED = frozenset({CredentialKind.GITHUB_APP, CredentialKind.KUBERNETES})


@dataclass(frozen=True)
class GitopsCluster:
    """A cluster with Flux, in which the deployment is set up.

    `credential` is one of kind `kubernetes`. `pull_credential` is the one with which Flux reads
    the repository; it is stored in the cluster, so it should be able to do no more than that. A
    public repository needs none.
    """

    credential: str
    pull_credential: str | None = None


class ClusterGitops:
    """Applies namespace, Secret, GitRepository and Kustomizations as the project's."""

    def __init__(self, open_cluster: OpenCluster, credentials: Credentials) -> None:
        self._open = open_cluster
        self._credentials = credentials

    async def set_up(
        self, deployment: Deployment, target: GitopsCluster
    ) -> tuple[str, list[AppliedObject]]:
        """Apply the objects; return the cluster's address and the objects. Raises step_error."""
        project, pull = deployment.project, {}
        if target.pull_credential is not None:
            secret = await self._credentials.open(target.pull_credential, project)
            pull = _pull_data(target.pull_credential, secret)
            url = _url_for(secret, deployment.repository)
            _refuse_elsewhere(target.pull_credential, secret, url)
            deployment = replace(deployment, repository=url, secret=secret_name(project))
        namespace, *others = objects(deployment).values()
        secrets = [pull_secret(project, pull)] if pull else []
        async with self._open(target.credential, project) as cluster:
            return cluster.server, await apply_all(
                cluster, [namespace, *secrets, *others], project.id
            )

    async def remove(
        self, project: ProjectRef, target: GitopsCluster, made: list[dict[str, Any]]
    ) -> list[str]:
        """Delete the objects of `set_up`; return their names. Raises step_error."""
        async with self._open(target.credential, project) as cluster:
            return await delete_all(cluster, made, project.id)


def _pull_data(name: str, secret: Secret) -> dict[str, str]:
    """Return the data of Flux's Secret for a credential."""
    kind, ca = secret.target.kind, secret.target.ca or ""
    if kind in _SHORT_LIVED or (kind == CredentialKind.GITLAB and is_oauth(secret.value)):
        raise step_error(
            f"Flux cannot read a repository with the credential {name!r}, of kind {kind}: it "
            "expires, or is not one of a Git host",
            remedy="Use a token that may read the repository, or an SSH key.",
            retry=False,
        )
    if kind == CredentialKind.SSH:
        return {"identity": secret.value, "known_hosts": ca}
    user = secret.account if kind == CredentialKind.BASIC else _USERS.get(kind or "", "")
    data = {"username": user or secret.account or "git", "password": secret.value}
    return {**data, "ca.crt": ca} if ca else data


def _refuse_elsewhere(name: str, secret: Secret, url: str) -> None:
    """Flux sends the credential to `url`: it must be the one that is stored with it."""
    address = secret.target.url
    is_safe = url.startswith(("https://", "ssh://")) or is_loopback(urlsplit(url).hostname or "")
    if not is_safe or (address and not is_at(url, address)):
        raise step_error(
            f"Flux cannot read {url} with the credential {name!r}"
            + (f", which is for {address} only" if address else ""),
            remedy="Use a credential of the repository's host as `pull_credential`.",
            retry=False,
        )


def _url_for(secret: Secret, url: str) -> str:
    """Return the repository's URL for a credential: by SSH for an SSH key."""
    if secret.target.kind != CredentialKind.SSH:
        return url
    return f"{secret.target.url.rstrip('/')}/{urlsplit(url).path.lstrip('/')}"
