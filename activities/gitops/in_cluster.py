"""Sets a project's deployment up in a cluster, by applying Flux's objects there."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from stepway.activities.beats import Beats, beating
from stepway.activities.cluster.access import OpenCluster
from stepway.activities.cluster.applied import AppliedObject, apply_all
from stepway.activities.cluster.delete_all import Removal, delete_all, delete_planned
from stepway.activities.credentials.credentials import Credentials
from stepway.activities.credentials.refreshing import is_oauth
from stepway.activities.gitops.deploy_key import (
    AddedKey,
    DeployKeyFor,
    DeployKeys,
    ReadableRepository,
    new_private_key,
    public_key_of,
    title_of,
)
from stepway.activities.gitops.manifests import (
    Deployment,
    namespace_name,
    objects,
    pull_secret,
    secret_name,
)
from stepway.activities.project import ProjectRef
from stepway.clusters.cluster import Cluster, foreign_owner
from stepway.clusters.ref import Ref
from stepway.hosts.access import HostKind
from stepway.vault.addresses import is_at, is_loopback
from stepway.vault.kinds import CredentialKind
from stepway.vault.known import SecretName
from stepway.vault.redaction import learn
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

    `credential` is one of kind `kubernetes`. Flux reads the repository with a deploy key that is
    made for it (`deploy_key`), or with a `pull_credential`. That one is stored in the cluster, so
    it should be able to do no more than read. A public repository needs none of them.
    """

    credential: str
    pull_credential: str | None = None
    deploy_key: DeployKeyFor | None = None


@dataclass(frozen=True)
class InCluster:
    """What was applied in the cluster with the address `server`."""

    server: str
    objects: list[AppliedObject]
    deploy_key: AddedKey | None = None


class ClusterGitops:
    """Applies namespace, Secret, GitRepository and Kustomizations as the project's."""

    def __init__(
        self, open_cluster: OpenCluster, credentials: Credentials, keys: DeployKeys
    ) -> None:
        self._open = open_cluster
        self._credentials = credentials
        self._keys = keys

    async def set_up(self, deployment: Deployment, target: GitopsCluster) -> InCluster:
        """Apply the objects. Raises step_error."""
        async with beating() as beats:
            return await self._set_up(deployment, target, beats)

    async def _set_up(
        self, deployment: Deployment, target: GitopsCluster, beats: Beats
    ) -> InCluster:
        if target.deploy_key is not None:
            if target.pull_credential is not None:
                raise step_error(
                    "`pull_credential` and `deploy_key` were both given",
                    remedy="Remove one of them from the blueprint.",
                    retry=False,
                )
            async with self._keys.opened(deployment.project, target.deploy_key) as repository:
                return await self._with_key(deployment, target, repository, beats)
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
            applied = await apply_all(cluster, [namespace, *secrets, *others], project.id, beats)
            return InCluster(cluster.server, applied)

    async def remove(
        self, deployment: Deployment, target: GitopsCluster, made: dict[str, Any] | None
    ) -> list[str]:
        """Delete the objects in the result of the step, and the deploy key; return their names.

        Without a result, deletes the project's objects of the deployment. Goes on after a refusal.
        Raises step_error with what is left, and why.
        """
        async with beating() as beats:
            return await self._remove(deployment, target, made, beats)

    async def _remove(
        self,
        deployment: Deployment,
        target: GitopsCluster,
        made: dict[str, Any] | None,
        beats: Beats,
    ) -> list[str]:
        project = deployment.project
        if target.deploy_key is None:
            async with self._open(target.credential, project) as cluster:
                return (await _delete(cluster, deployment, made, beats)).or_raise()
        removal = Removal()
        with removal.going_on("The objects in the cluster"):
            async with self._open(target.credential, project) as cluster:
                removal.add(await _delete(cluster, deployment, made, beats))
        with removal.going_on("The deploy key of the repository"):
            title = title_of(project, target.credential)
            removal.removed += await self._keys.remove(project, target.deploy_key, title)
        return removal.or_raise()

    async def _with_key(
        self,
        deployment: Deployment,
        target: GitopsCluster,
        repository: ReadableRepository,
        beats: Beats,
    ) -> InCluster:
        """Apply the objects with a deploy key; the one that is in the cluster is used again.

        The Secret comes first: a later attempt then finds the key, and makes no second one.
        """
        project = deployment.project
        deployment = replace(deployment, repository=repository.url, secret=secret_name(project))
        namespace, *others = objects(deployment).values()
        async with self._open(target.credential, project) as cluster:
            private = await _kept_key(cluster, project) or new_private_key()
            learn(private, SecretName(project.owner, target.credential, made=True))
            public = public_key_of(private)
            assert public is not None
            secret = pull_secret(
                project,
                {
                    "identity": private,
                    "identity.pub": f"{public}\n",
                    "known_hosts": repository.known_hosts,
                },
            )
            first = await apply_all(cluster, [namespace, secret], project.id, beats)
            key = await repository.add(title_of(project, target.credential), public)
            rest = await apply_all(cluster, others, project.id, beats)
            return InCluster(cluster.server, [*first, *rest], key)


async def _delete(
    cluster: Cluster, deployment: Deployment, made: dict[str, Any] | None, beats: Beats
) -> Removal:
    project = deployment.project
    if made is not None:
        return await delete_all(cluster, made.get("objects", []), project.id, beats)
    namespace, *others = objects(deployment).values()
    planned = [namespace, pull_secret(project, {}), *others]
    return await delete_planned(cluster, planned, project.id, beats)


async def _kept_key(cluster: Cluster, project: ProjectRef) -> str | None:
    """Return the private key in the project's Secret; None if there is none."""
    found = await cluster.read(Ref("v1", "Secret", secret_name(project), namespace_name(project)))
    if found is None or foreign_owner(found, project.id) is not None:
        return None
    try:
        private = b64decode((found.get("data") or {}).get("identity", "")).decode()
    except ValueError:
        return None
    return private if public_key_of(private) is not None else None


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
