"""Opens the Git host of a credential, with the token source of the credential's kind."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from redis.asyncio import Redis

from stepway.activities.credentials.credentials import Credentials
from stepway.activities.credentials.refreshing import (
    RefreshedCredential,
    is_oauth,
    refreshed_tokens,
)
from stepway.activities.hosts import host_errors
from stepway.activities.pace import SharedPace
from stepway.activities.project import ProjectRef
from stepway.hosts.access import HostAccess, HostKind, StaticToken, TokenSource, host_of_credential
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github.app import AppTokens
from stepway.hosts.host import GitHost
from stepway.hosts.http import http_client
from stepway.hosts.kinds import budget, open_git_host
from stepway.vault.kinds import CredentialKind
from stepway.vault.known import SecretName
from stepway.vault.redaction import learn
from stepway.vault.vault import Secret


class GitHosts:
    """Opens the Git hosts of credentials.

    Tokens that are made with a credential are hidden from people before anything uses them, and
    are not passed on to other steps: see vault/references.py. With `redis`, all processes that use
    a credential space what they write together.
    """

    def __init__(self, credentials: Credentials, redis: Redis | None = None) -> None:
        self._credentials = credentials
        self._redis = redis
        self._paces: dict[tuple[str, str], SharedPace] = {}
        self._refreshed: dict[SecretName, RefreshedCredential] = {}
        self._clients: dict[str | None, httpx.AsyncClient] = {}
        self._stack = AsyncExitStack()

    @asynccontextmanager
    async def open(self, credential: str, project: ProjectRef) -> AsyncIterator[GitHost]:
        """Open the host of a credential that the project may use (OpenHost).

        Raises step_error if there is no such credential, or it is not one of a Git host.
        """
        secret = await self._credentials.open(credential, project)
        with host_errors():
            access = await self._access(SecretName(project.owner, credential), secret)
        async with open_git_host(access, self._pace(access, secret)) as host:
            yield host

    @asynccontextmanager
    async def of_secret(self, name: SecretName, secret: Secret) -> AsyncIterator[GitHost]:
        """Open the host of a secret. Raises HostError if it is not one of a Git host."""
        access = await self._access(name, secret)
        async with open_git_host(access, self._pace(access, secret)) as host:
            yield host

    async def token(self, name: SecretName, secret: Secret) -> str:
        """Return a token for Git over HTTPS. Raises HostError if it is not one of a Git host."""
        return await (await self._access(name, secret)).tokens.token()

    async def close(self) -> None:
        """Close the connections over which tokens are refreshed."""
        await self._stack.aclose()

    def _pace(self, access: HostAccess, secret: Secret) -> SharedPace | None:
        """The turns of a secret at its host; everybody who uses the secret shares them."""
        allowed = budget(access)
        if self._redis is None or allowed is None:
            return None
        digest = hashlib.sha256(f"{secret.account}\n{secret.value}".encode()).hexdigest()
        key = access.url, digest
        if key not in self._paces:
            self._paces[key] = SharedPace(self._redis, access.url, digest, allowed)
        return self._paces[key]

    async def _access(self, name: SecretName, secret: Secret) -> HostAccess:
        kind = host_kind(secret)
        if kind is None:
            raise not_a_git_host(name.name, secret)
        return HostAccess(
            kind=kind,
            url=secret.target.url,
            credential=name.name,
            account=secret.account,
            tokens=await self._tokens(name, secret),
            ca=secret.target.ca,
        )

    async def _tokens(self, name: SecretName, secret: Secret) -> TokenSource:
        target = secret.target
        if target.kind == CredentialKind.GITHUB_APP:
            made = SecretName(name.owner, name.name, made=True)
            return AppTokens(
                target.url,
                target.options["app_id"],
                secret.value,
                secret.account,
                target.ca,
                made=lambda token: learn(token, made),
            )
        if target.kind == CredentialKind.GITLAB and is_oauth(secret.value):
            return await self._oauth(name, secret)
        return StaticToken(secret.value)

    async def _oauth(self, name: SecretName, secret: Secret) -> TokenSource:
        """The source of all steps of this process, until somebody else stores another token."""
        # Not the step's client: a step that is cancelled must not close it during a refresh.
        client = await self._client(secret.target.ca)
        known = self._refreshed.get(name)
        if known is None or not known.is_of(secret):
            known = self._refreshed[name] = refreshed_tokens(
                client, self._credentials, name, secret
            )
        return known.source

    async def _client(self, ca: str | None) -> httpx.AsyncClient:
        if ca not in self._clients:
            client = await self._stack.enter_async_context(http_client(ca))
            self._clients.setdefault(ca, client)
        return self._clients[ca]


def host_kind(secret: Secret) -> HostKind | None:
    """Return the kind of Git host that a secret signs in to; None if it is another secret."""
    return host_of_credential(secret.target.kind)


def not_a_git_host(credential: str, secret: Secret) -> HostError:
    """Return the error of a step that needs a Git host, but got another credential."""
    kind = secret.target.kind
    what = f"is of kind {kind}" if kind else "has no kind"
    return HostError(
        Reason.UNSUPPORTED,
        f"The credential {credential!r} {what}, so it does not sign in to a Git host",
        remedy="Store it again with its kind: "
        f"`stepway credential set {credential} --kind github|github-app|gitlab|gitea`, "
        "or use another credential.",
    )
