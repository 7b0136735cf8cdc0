"""Stores secrets by owner and name, encrypted. Only steps read them, during an attempt."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from stepway.vault.errors import KeyMissing, Undecipherable
from stepway.vault.keyring import Encrypted, Keyring
from stepway.vault.known import SHORTEST
from stepway.vault.models import Credential
from stepway_tracking.record.errors import StepwayError

log = logging.getLogger(__name__)

EVERYONE = "*"
"""The owner of credentials that every project may use."""

MOST = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class CredentialRefused(StepwayError):
    """The credential cannot be stored; the text says why."""


@dataclass(frozen=True)
class CredentialEntry:
    """The public fields of a credential."""

    owner: str
    name: str
    account: str
    key_id: str
    updated_at: datetime


@dataclass(frozen=True)
class Secret:
    """A decrypted credential: its account, and its value, which repr hides."""

    account: str
    value: str

    def __repr__(self) -> str:
        return f"Secret(account={self.account!r})"


@dataclass(frozen=True)
class OpenCredential:
    """A decrypted credential with its owner and name; repr hides the value."""

    owner: str
    name: str
    value: str = field(repr=False)


class Vault:
    """The table of credentials. Without a keyring, it can only list and remove."""

    def __init__(self, engine: AsyncEngine, keyring: Keyring | None) -> None:
        self._engine = engine
        self._keyring = keyring

    async def put(self, owner: str, name: str, value: str, account: str = "") -> None:
        """Store a secret; replaces the one of the same name. Raises CredentialRefused."""
        sealed = self._opened().encrypt(_checked(name, value).encode(), _context(owner, name))
        row = {"account": account or name, "key_id": sealed.key_id, "ciphertext": sealed.data}
        statement = insert(Credential).values(owner=owner, name=name, **row)
        async with self._engine.begin() as connection:
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["owner", "name"], set_={**row, "updated_at": func.now()}
                )
            )

    async def find(self, owner: str, name: str) -> Secret | None:
        """Return the owner's secret of that name, else the one for everyone, else None.

        Raises KeyMissing, Undecipherable, CredentialRefused.
        """
        query = select(Credential.owner, Credential.account, Credential.key_id).add_columns(
            Credential.ciphertext
        )
        query = query.where(Credential.name == name, Credential.owner.in_([owner, EVERYONE]))
        async with self._engine.connect() as connection:
            found = {row.owner: row for row in await connection.execute(query)}
        row = found.get(owner) or found.get(EVERYONE)
        if row is None:
            return None
        sealed = Encrypted(row.key_id, row.ciphertext)
        value = self._opened().decrypt(sealed, _context(row.owner, name))
        return Secret(row.account, value.decode())

    async def usable_by(self, owner: str) -> list[OpenCredential]:
        """Decrypt all credentials that the owner may use; skip those that fail to decrypt."""
        if self._keyring is None:
            return []
        query = select(
            Credential.owner, Credential.name, Credential.key_id, Credential.ciphertext
        ).where(Credential.owner.in_([owner, EVERYONE]))
        async with self._engine.connect() as connection:
            rows = list(await connection.execute(query))
        usable = []
        for row in rows:
            sealed = Encrypted(row.key_id, row.ciphertext)
            try:
                value = self._keyring.decrypt(sealed, _context(row.owner, row.name))
            except (KeyMissing, Undecipherable) as error:
                # A lost key must not block every start.
                log.warning("The credential %s cannot be opened: %s", row.name, error)
                continue
            usable.append(OpenCredential(row.owner, row.name, value.decode()))
        return usable

    async def entries(self) -> list[CredentialEntry]:
        """List all credentials, without their values."""
        query = select(
            Credential.owner,
            Credential.name,
            Credential.account,
            Credential.key_id,
            Credential.updated_at,
        ).order_by(Credential.owner, Credential.name)
        async with self._engine.connect() as connection:
            return [CredentialEntry(*row) for row in await connection.execute(query)]

    async def remove(self, owner: str, name: str) -> bool:
        """Remove a credential; return False if it does not exist."""
        statement = delete(Credential).where(Credential.owner == owner, Credential.name == name)
        async with self._engine.begin() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def encrypt_again(self) -> int:
        """Re-encrypt old credentials with the newest key; return how many there were."""
        keyring = self._opened()
        stale = [entry for entry in await self.entries() if entry.key_id != keyring.current]
        for entry in stale:
            secret = await self.find(entry.owner, entry.name)
            if secret is not None:
                await self.put(entry.owner, entry.name, secret.value, secret.account)
        return len(stale)

    def _opened(self) -> Keyring:
        if self._keyring is None:
            raise CredentialRefused(
                "Credentials require an encryption key: set STEPWAY_SECRET_KEYS or "
                "STEPWAY_SECRET_KEYS_FILE to the output of `stepway credential new-key`"
            )
        return self._keyring


def _checked(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise CredentialRefused(
            f"{name!r} is not a credential name: use up to 63 letters, digits, dots and hyphens"
        )
    if len(value) < SHORTEST or len(value) > MOST or "\0" in value:
        raise CredentialRefused(
            f"A secret must have {SHORTEST} to {MOST} characters, without NUL; "
            "shorter ones cannot be redacted from logs"
        )
    return value


def _context(owner: str, name: str) -> bytes:
    return f"credential\n{owner}\n{name}".encode()
