"""Stores secrets by owner and name, encrypted. Only steps read them, during an attempt."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from stepway.vault.errors import CredentialRefused, KeyMissing, Undecipherable
from stepway.vault.forms import Form, checked_form
from stepway.vault.keyring import Encrypted, Keyring
from stepway.vault.kinds import PLAIN, Target
from stepway.vault.known import SHORTEST
from stepway.vault.models import Credential

log = logging.getLogger(__name__)

EVERYONE = "*"
"""The owner of credentials that every project may use."""

MOST = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True)
class CredentialEntry:
    """The public fields of a credential."""

    owner: str
    name: str
    account: str
    key_id: str
    updated_at: datetime
    kind: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Secret:
    """A decrypted credential: its account, its value, which repr hides, and where it signs in.

    The account may be empty: then it is the one that the host names for the secret.
    """

    account: str
    value: str
    target: Target = PLAIN

    def __repr__(self) -> str:
        return f"Secret(account={self.account!r})"


@dataclass(frozen=True)
class OpenCredential:
    """A decrypted credential with its owner and name; repr hides the value."""

    owner: str
    name: str
    value: str = field(repr=False)
    account: str = ""
    kind: str | None = None


class Vault:
    """The table of credentials. Without a keyring, it can only list and remove."""

    def __init__(self, engine: AsyncEngine, keyring: Keyring | None) -> None:
        self._engine = engine
        self._keyring = keyring

    async def put(
        self, owner: str, name: str, value: str, account: str = "", target: Target = PLAIN
    ) -> Form:
        """Store a secret, replacing the one of the same name; return it as it was stored.

        Raises CredentialRefused.
        """
        form = checked_form(name, _checked(name, value), account, target)
        await self._store(owner, name, form)
        return form

    async def _store(self, owner: str, name: str, form: Form) -> None:
        sealed = self._opened().encrypt(form.value.encode(), _context(owner, name))
        row = {
            "account": form.account,
            "key_id": sealed.key_id,
            "ciphertext": sealed.data,
            "kind": form.target.kind,
            "url": form.target.url or None,
            "ca": form.target.ca,
            "options": dict(form.target.options) or None,
        }
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
        query = select(Credential.__table__).where(
            Credential.name == name, Credential.owner.in_([owner, EVERYONE])
        )
        async with self._engine.connect() as connection:
            found = {row.owner: row for row in await connection.execute(query)}
        row = found.get(owner) or found.get(EVERYONE)
        if row is None:
            return None
        sealed = Encrypted(row.key_id, row.ciphertext)
        value = self._opened().decrypt(sealed, _context(row.owner, name))
        target = Target(row.kind, row.url or "", row.ca, row.options or {})
        return Secret(row.account, value.decode(), target)

    async def kinds(self, owner: str, names: Collection[str]) -> dict[str, str | None]:
        """Return the kinds of those of these credentials that the owner may use, by name.

        Nothing is decrypted.
        """
        query = select(Credential.owner, Credential.name, Credential.kind).where(
            Credential.name.in_(names), Credential.owner.in_([owner, EVERYONE])
        )
        async with self._engine.connect() as connection:
            rows = list(await connection.execute(query))
        # The owner's own credential counts before the one for everyone.
        rows.sort(key=lambda row: row.owner == owner)
        return {row.name: row.kind for row in rows}

    async def change(self, owner: str, name: str, change: Callable[[str], str | None]) -> None:
        """Replace the value of the credential that `find` returns by what `change` makes of it.

        The row is locked meanwhile. If `change` returns None, or the credential is gone, nothing
        changes. Raises KeyMissing, Undecipherable, CredentialRefused.
        """
        keyring = self._opened()
        query = select(Credential.__table__).where(
            Credential.name == name, Credential.owner.in_([owner, EVERYONE])
        )
        async with self._engine.begin() as connection:
            rows = list(await connection.execute(query.with_for_update()))
            found = {row.owner: row for row in rows}
            row = found.get(owner) or found.get(EVERYONE)
            if row is None:
                return
            context = _context(row.owner, name)
            sealed = Encrypted(row.key_id, row.ciphertext)
            new = change(keyring.decrypt(sealed, context).decode())
            if new is not None:
                again = keyring.encrypt(new.encode(), context)
                await connection.execute(
                    update(Credential)
                    .where(Credential.id == row.id)
                    .values(key_id=again.key_id, ciphertext=again.data, updated_at=func.now())
                )

    async def usable_by(self, owner: str) -> list[OpenCredential]:
        """Decrypt all credentials that the owner may use; skip those that fail to decrypt."""
        if self._keyring is None:
            return []
        query = select(Credential.__table__).where(Credential.owner.in_([owner, EVERYONE]))
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
            usable.append(
                OpenCredential(row.owner, row.name, value.decode(), row.account, row.kind)
            )
        return usable

    async def entries(self) -> list[CredentialEntry]:
        """List all credentials, without their values."""
        query = select(
            Credential.owner,
            Credential.name,
            Credential.account,
            Credential.key_id,
            Credential.updated_at,
            Credential.kind,
            Credential.url,
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
                form = Form(secret.value, secret.account, secret.target)
                await self._store(entry.owner, entry.name, form)
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
