"""resolve_credentials: checks the credential that the other steps use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from temporalio import activity

from stepway.activities.beats import beating
from stepway.activities.credentials.checking import (
    Checked,
    check_credential,
    check_features,
    check_needs,
)
from stepway.activities.credentials.credentials import LOCAL, Credentials
from stepway.activities.credentials.git_hosts import GitHosts, host_kind, not_a_git_host
from stepway.activities.hosts import host_errors
from stepway.activities.project import ProjectRef
from stepway.hosts.host import Feature
from stepway.vault.known import SecretName
from stepway.vault.vault import Secret
from stepway_tracking.record.errors import step_error


@dataclass(frozen=True)
class ResolveCredentialsInput:
    """`credential` is a name; inputs never contain secrets.

    `needs` are the features of the Git host that the blueprint uses. `needs_if` maps more of them
    to a parameter each: those are used whose parameter is true, or not empty. `workflows`: whether
    files below `.github/workflows` are pushed.
    """

    project: ProjectRef
    credential: str = LOCAL
    needs: list[Feature] = field(default_factory=list)
    workflows: bool = False
    needs_if: dict[Feature, Any] = field(default_factory=dict)

    @property
    def needed(self) -> list[Feature]:
        """The features that the blueprint uses with these parameters."""
        return [*self.needs, *(feature for feature, used in self.needs_if.items() if used)]


@dataclass(frozen=True)
class ResolvedCredential:
    """The account and the host of the credential; the result is public, so it has no secret.

    `host` is the URL of the host; the page lists fields named `url` as what a step has made.
    `scopes` is None if the host does not tell them; `expires_at` is a time in ISO 8601, or empty.
    """

    account: str
    credential: str
    kind: str = LOCAL
    host: str = ""
    scopes: list[str] | None = None
    expires_at: str = ""


class CredentialSteps:
    """The step resolve_credentials."""

    def __init__(self, repositories: Path, credentials: Credentials, hosts: GitHosts) -> None:
        self._repositories = repositories
        self._credentials = credentials
        self._hosts = hosts

    @activity.defn
    async def resolve_credentials(self, given: ResolveCredentialsInput) -> ResolvedCredential:
        """Use the credential once, in each attempt again.

        Fails with what is missing for what the blueprint does.
        """
        if given.credential == LOCAL:
            return await self._resolve_local(given)
        async with beating():
            secret = await self._credentials.open(given.credential, given.project)
            with host_errors():
                checked = await self._checked(given, secret)
        return ResolvedCredential(
            account=secret.account or checked.account,
            credential=given.credential,
            kind=secret.target.kind or "",
            host=secret.target.url,
            scopes=None if checked.scopes is None else sorted(checked.scopes),
            expires_at=checked.expires_at.isoformat() if checked.expires_at else "",
        )

    async def _checked(self, given: ResolveCredentialsInput, secret: Secret) -> Checked:
        name = SecretName(given.project.owner, given.credential)
        needs_host = bool(given.needed) or given.workflows
        if host_kind(secret) is None:
            if needs_host:
                raise not_a_git_host(given.credential, secret)
            return await check_credential(self._hosts, name, secret)
        async with self._hosts.of_secret(name, secret) as host:
            identity = await host.identity()
            await check_needs(host, given.credential, given.needed, workflows=given.workflows)
        return Checked(identity.account, identity.kind, identity.scopes, identity.expires_at)

    async def _resolve_local(self, given: ResolveCredentialsInput) -> ResolvedCredential:
        with host_errors():
            check_features(LOCAL, LOCAL, frozenset(), given.needed)
        await asyncio.to_thread(self._check_that_repositories_can_be_written)
        return ResolvedCredential(account=given.project.owner, credential=LOCAL)

    def _check_that_repositories_can_be_written(self) -> None:
        try:
            self._repositories.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(prefix=".probe-", dir=self._repositories) as probe:
                probe.write(b"stepway")
                probe.flush()
        except OSError as error:
            raise step_error(
                f"Cannot write to the repositories folder: {error.strerror}",
                remedy="Ask an operator to check the data folder's permissions and free space.",
            ) from error
