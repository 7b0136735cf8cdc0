"""Browser sessions: the cookie holds a random value, the table its hash.

A session ends at the latest when the token it was created from expires or is revoked.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import asyncpg

from stepway.api.auth.policy import Person
from stepway.api.auth.tokens import digest, person_of

LONGEST = timedelta(hours=12)


class Sessions:
    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def create(self, person: Person) -> tuple[str, datetime]:
        """Create a session; return its cookie's value and its expiry."""
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
        """Return the person of a session; None if it is unknown or has ended."""
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
        """End the session; do nothing if there is none."""
        await self._pool.execute("DELETE FROM sessions WHERE hash = $1", digest(value))
