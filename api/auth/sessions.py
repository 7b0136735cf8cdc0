"""Browsers' sessions: a cookie's random value, of which only the hash is kept.

A session never outlives what it was made from: a token's expiry or revocation ends it too.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import asyncpg

from stepway.api.auth.policy import Person
from stepway.api.auth.tokens import digest, person_of

LONGEST = timedelta(hours=12)


class Sessions:
    """The table of sessions."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def create(self, person: Person) -> tuple[str, datetime]:
        """The cookie's value for a person's new session, and when it ends."""
        value = secrets.token_urlsafe(32)
        latest = datetime.now(UTC) + LONGEST
        expires_at = min(latest, person.expires_at or latest)
        await self._pool.execute(
            """
            WITH over AS (DELETE FROM sessions WHERE expires_at < now())
            INSERT INTO sessions (hash, token_id, owner, groups, scopes, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            digest(value),
            person.token_id,
            person.name,
            sorted(person.groups),
            sorted(person.scopes),
            expires_at,
        )
        return value, expires_at

    async def person(self, value: str) -> Person | None:
        """Whose session it is; None when it is over."""
        row = await self._pool.fetchrow(
            """
            SELECT s.owner, s.groups, s.scopes, s.expires_at, s.token_id
            FROM sessions s LEFT JOIN tokens t ON t.id = s.token_id
            WHERE s.hash = $1 AND s.expires_at > now() AND t.revoked_at IS NULL
            """,
            digest(value),
        )
        return None if row is None else person_of(row, row["token_id"])

    async def end(self, value: str) -> None:
        """End a session, if it is one."""
        await self._pool.execute("DELETE FROM sessions WHERE hash = $1", digest(value))
