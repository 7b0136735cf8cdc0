"""API tokens: 256 random bits; only their SHA-256 is stored.

A slow hash would add nothing: the tokens are too random to be guessed from their hashes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from stepway.api.auth.policy import Person, owner_name
from stepway.runtime.scopes import Scope
from stepway_tracking.record.errors import StepwayError

PREFIX = "stepway_"
"""Start of every token, so that people and secret scanners recognize it."""

PREFIX_LENGTH = len(PREFIX) + 6
"""Number of a token's first characters that are stored and listed, to identify it."""


@dataclass(frozen=True)
class TokenEntry:
    """A token without its secret."""

    id: UUID
    name: str
    prefix: str
    owner: str
    groups: list[str]
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class SeveralOwners(StepwayError):
    """Tokens of several owners have that name; the text lists them."""

    def __init__(self, which: str, tokens: Sequence[TokenEntry]) -> None:
        found = "".join(f"\n  {each.id}  of {each.owner}" for each in tokens)
        super().__init__(f"several owners have a token {which!r}, give --owner or an id:{found}")


class Tokens:
    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def create(
        self,
        name: str,
        owner: str,
        scopes: Iterable[Scope],
        *,
        groups: Iterable[str] = (),
        expires_at: datetime | None = None,
    ) -> str:
        """Create a token and return its text, which cannot be read again later.

        Raises ValueError for an invalid name of an owner or group.
        """
        groups = list(groups)
        for each in (owner, *groups):
            owner_name(each)
        token = PREFIX + secrets.token_urlsafe(32)
        await self._pool.execute(
            """
            INSERT INTO tokens (name, prefix, hash, owner, groups, scopes, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            name,
            token[:PREFIX_LENGTH],
            digest(token),
            owner,
            groups,
            sorted(scopes),
            expires_at,
        )
        return token

    async def person(self, token: str) -> Person | None:
        """Return the person of a token; None if it is unknown, expired or revoked."""
        row = await self._pool.fetchrow(
            """
            SELECT id, owner, groups, scopes, expires_at,
                   last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS stale
            FROM tokens
            WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
            """,
            digest(token),
        )
        if row is None:
            return None
        if row["stale"]:
            await self._pool.execute(
                "UPDATE tokens SET last_used_at = now() WHERE id = $1", row["id"]
            )
        return person_of(row, row["id"])

    async def entries(self) -> list[TokenEntry]:
        """Return all tokens, newest first."""
        rows = await self._pool.fetch(
            """
            SELECT id, name, prefix, owner, groups, scopes, created_at, expires_at, last_used_at,
                   revoked_at
            FROM tokens ORDER BY created_at DESC, id
            """
        )
        return [TokenEntry(**row) for row in rows]

    async def revoke(self, which: str, owner: str | None = None) -> list[TokenEntry]:
        """Revoke all tokens with that ID, prefix or name; return the ones that were active.

        Raises SeveralOwners if they belong to several owners and `owner` is not given.
        """
        chosen = [
            entry
            for entry in await self.entries()
            if which in (str(entry.id), entry.prefix, entry.name)
            and entry.revoked_at is None
            and owner in (None, entry.owner)
        ]
        if len({entry.owner for entry in chosen}) > 1:
            raise SeveralOwners(which, chosen)
        ids = [entry.id for entry in chosen]
        await self._pool.execute("UPDATE tokens SET revoked_at = now() WHERE id = ANY($1)", ids)
        return chosen


def digest(secret: str) -> bytes:
    """Return the SHA-256 under which a token or a session's cookie is stored."""
    return hashlib.sha256(secret.encode(errors="replace")).digest()


def person_of(row: Any, token_id: UUID | None) -> Person:
    """Return the person of a row of tokens or sessions."""
    scopes = frozenset(Scope(scope) for scope in row["scopes"])
    return Person(row["owner"], frozenset(row["groups"]), scopes, row["expires_at"], token_id)
