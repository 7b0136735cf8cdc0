"""The deploy key with which Flux reads a project's repository, on the repository's host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from stepway.activities.credentials.credentials import Credentials
from stepway.activities.gitops.known_hosts import lines_for, names, place_of
from stepway.activities.hosts import OpenHost
from stepway.activities.project import ProjectRef
from stepway.activities.repository.target import (
    Mode,
    OnRepository,
    need,
    opened_host,
    opened_repository,
    owner_on,
)
from stepway.hosts.host import Feature, GitHost, HostRepository
from stepway.hosts.paths import ssh_url
from stepway_tracking.record.errors import step_error


@dataclass(frozen=True)
class DeployKeyFor:
    """The project's repository, to which a deploy key that may only read is added for Flux.

    `credential` is one of the repository's host, with the right to add deploy keys. `namespace`,
    `repository` and `mode` are those of create_repository.
    """

    credential: str
    _: KW_ONLY
    namespace: str | None = None
    repository: str | None = None
    mode: Mode = "create"


@dataclass(frozen=True)
class AddedKey:
    """A deploy key on a Git host; its private part is in the cluster only."""

    id: str
    title: str
    repository: str


class ReadableRepository:
    """A repository that Flux is to read: `url` is its address, `known_hosts` its host's keys."""

    def __init__(
        self, host: GitHost, repository: HostRepository, url: str, known_hosts: str
    ) -> None:
        self.url = url
        self.known_hosts = known_hosts
        self._host = host
        self._repository = repository

    async def add(self, title: str, public_key: str) -> AddedKey:
        """Add the key unless it is there; another one with this title is removed first."""
        for known in await self._host.deploy_keys(self._repository):
            if known.title == title and known.key.split() != public_key.split():
                await self._host.remove_deploy_key(self._repository, known.id)
        key = await self._host.add_deploy_key(self._repository, title, public_key)
        return AddedKey(key, title, f"{self._repository.owner}/{self._repository.name}")


class DeployKeys:
    """Adds and removes the deploy keys of projects."""

    def __init__(self, hosts: OpenHost, credentials: Credentials) -> None:
        self._hosts = hosts
        self._credentials = credentials

    @asynccontextmanager
    async def opened(
        self, project: ProjectRef, target: DeployKeyFor
    ) -> AsyncIterator[ReadableRepository]:
        """Open the project's repository. Raises step_error if Flux could not trust its host."""
        async with opened_repository(self._hosts, _on(project, target)) as (host, repository):
            need(host, Feature.DEPLOY_KEYS)
            url = ssh_url(repository.ssh_url)
            known_hosts = await self._known_hosts(host, url, project, target)
            yield ReadableRepository(host, repository, url, known_hosts)

    async def remove(self, project: ProjectRef, target: DeployKeyFor, title: str) -> list[str]:
        """Remove the keys with this title; return their names. Raises step_error."""
        removed = []
        given = _on(project, target)
        async with opened_host(self._hosts, given) as host:
            owner, name = await owner_on(host, given), given.repository_name
            repository = await host.find_repository(owner, name)
            if repository is None:
                return []
            for known in await host.deploy_keys(repository):
                if known.title == title and await host.remove_deploy_key(repository, known.id):
                    removed.append(f"deploy key {title} of {owner}/{name}")
        return removed

    async def _known_hosts(
        self, host: GitHost, url: str, project: ProjectRef, target: DeployKeyFor
    ) -> str:
        """Return what a person has stored, else what the host publishes over HTTPS.

        Keys from a first contact over SSH could be those of anybody in between, who could then
        deploy anything in the cluster.
        """
        secret = await self._credentials.open(target.credential, project)
        stored = secret.target.options.get("known_hosts", "")
        if stored and names(stored, url):
            return stored
        if not stored and (keys := await host.ssh_host_keys()):
            return lines_for(url, keys)
        place = place_of(url)
        raise step_error(
            f"The known hosts of the credential {target.credential!r} do not have {place}"
            if stored
            else f"The public keys of the SSH server {place} are not known, so Flux could not tell "
            "it from others",
            remedy=f"Store the credential {target.credential!r} again with `--known-hosts FILE`, a "
            "file with the output of `ssh-keyscan`, compared with the fingerprints that the host's "
            "administrator names. Or use a `pull_credential` in place of `deploy_key`.",
            retry=False,
        )


def title_of(project: ProjectRef, cluster: str) -> str:
    """Return the title of a project's key: our mark. `cluster` is the cluster's credential."""
    return f"stepway/{project.id}/{cluster}"


def new_private_key() -> str:
    """Return a new private key, in OpenSSH's format."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def public_key_of(private_key: str) -> str | None:
    """Return the public part, `TYPE BASE64`; None if the text is no private key."""
    try:
        key = load_ssh_private_key(private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _on(project: ProjectRef, target: DeployKeyFor) -> OnRepository:
    return OnRepository(
        project,
        credential=target.credential,
        namespace=target.namespace,
        repository=target.repository,
        mode=target.mode,
    )
