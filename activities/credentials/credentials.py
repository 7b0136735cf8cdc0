"""Opens credentials by name, for one attempt."""

from __future__ import annotations

from collections.abc import Callable

from stepway.activities.postgres import postgres_errors
from stepway.activities.project import ProjectRef
from stepway.vault.errors import CredentialRefused, KeyMissing, Undecipherable
from stepway.vault.known import SecretName
from stepway.vault.references import learn_credential
from stepway.vault.vault import Secret, Vault
from stepway_tracking.record.errors import step_error

LOCAL = "local"
"""The credential of repositories on this machine; it has no secret."""


class Credentials:
    """Looks credentials up by name, in each attempt again."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def open(self, name: str, project: ProjectRef) -> Secret:
        """Return the secret, for use in this attempt; from now on it is hidden from people.

        Raises step_error if the project may not use a credential with that name.
        """
        try:
            with postgres_errors():
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
        learn_credential(SecretName(project.owner, name), secret)
        return secret

    async def stored(self, name: SecretName) -> Secret | None:
        """Return a credential as it is stored now. Raises KeyMissing, Undecipherable."""
        with postgres_errors():
            return await self._vault.find(name.owner, name.name)

    async def change(self, name: SecretName, change: Callable[[str], str | None]) -> None:
        """Replace the value of a credential, as Vault.change does."""
        with postgres_errors():
            await self._vault.change(name.owner, name.name, change)
