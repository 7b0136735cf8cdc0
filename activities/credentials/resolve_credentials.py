"""resolve_credentials: finds the account that creates the project's repository."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from temporalio import activity

from stepway.activities.project import ProjectRef
from stepway.vault.errors import KeyMissing, Undecipherable
from stepway.vault.known import SecretName
from stepway.vault.redaction import learn
from stepway.vault.vault import CredentialRefused, Secret, Vault
from stepway_tracking.record.errors import step_error

LOCAL = "local"


@dataclass(frozen=True)
class ResolveCredentialsInput:
    """`credential` is a name; inputs never contain secrets."""

    project: ProjectRef
    credential: str = LOCAL


@dataclass(frozen=True)
class ResolvedCredential:
    """The credential's name and account; the result is public, so it has no secret."""

    account: str
    credential: str


class Credentials:
    """Looks credentials up by name, in each attempt again. `local` needs no secret."""

    def __init__(self, repositories: Path, vault: Vault) -> None:
        self._repositories = repositories
        self._vault = vault

    async def resolve(self, name: str, project: ProjectRef) -> ResolvedCredential:
        """Return the credential's account.

        Raises step_error if the credential does not exist or cannot be used.
        """
        account = project.owner
        if name != LOCAL:
            account = (await self.open(name, project)).account
        await asyncio.to_thread(self._check_that_repositories_can_be_written)
        return ResolvedCredential(account=account, credential=name)

    async def open(self, name: str, project: ProjectRef) -> Secret:
        """Return the secret, for use in this attempt; from now on it is hidden from people.

        Raises step_error if the project may not use a credential with that name.
        """
        try:
            secret = await self._vault.find(project.owner, name)
        except (KeyMissing, Undecipherable, CredentialRefused) as error:
            raise step_error(
                f"Cannot decrypt the credential {name!r}. {error}",
                remedy="Ask an operator to add the key to the workers, then retry.",
            ) from error
        if secret is None:
            raise step_error(
                f"Credential {name!r} not found",
                remedy=f"Use the credential {LOCAL!r}, or ask an operator for the correct name.",
                retry=False,
            )
        learn(secret.value, SecretName(project.owner, name))
        return secret

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


class CredentialSteps:
    """The step resolve_credentials."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    @activity.defn
    async def resolve_credentials(self, given: ResolveCredentialsInput) -> ResolvedCredential:
        """Find the credential and check that it can be used."""
        return await self._credentials.resolve(given.credential, given.project)
