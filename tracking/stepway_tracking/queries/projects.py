"""Pages of the list of projects."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

INVALID = "Invalid cursor: use the next_cursor of a page, unchanged."

PAGE_OF_PROJECTS = """
SELECT stepway_project_json_v3(p)::text AS body, created_at, id FROM projects p
WHERE ($1::text IS NULL OR status = $1)
  AND ($5::text[] IS NULL OR owner = ANY($5))
  AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
ORDER BY created_at DESC, id DESC LIMIT $4
"""


class CursorInvalid(Exception):
    """The cursor does not come from an earlier page."""


class Listing:
    """Reads pages of projects, by creation time, newest first, and then by id."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def page(
        self,
        status: str | None,
        limit: int,
        cursor: str | None,
        owners: Sequence[str] | None = None,
    ) -> bytes:
        """Up to `limit` projects after `cursor`, as JSON: `{"items": [...], "next_cursor": ...}`.

        `status` and `owners` select projects; None selects all. Raises CursorInvalid.
        """
        created_at, project_id = _decode(cursor) if cursor is not None else (None, None)
        rows = await self._pool.fetch(
            PAGE_OF_PROJECTS,
            status,
            created_at,
            project_id,
            limit + 1,
            owners,
        )
        shown = rows[:limit]
        following = "null"
        if len(rows) > limit:
            following = f'"{_encode(shown[-1]["created_at"], shown[-1]["id"])}"'
        items = ", ".join(row["body"] for row in shown)
        return f'{{"items": [{items}], "next_cursor": {following}}}'.encode()


def _encode(created_at: datetime, project_id: UUID) -> str:
    return urlsafe_b64encode(f"{created_at.isoformat()}|{project_id}".encode()).decode()


def _decode(cursor: str) -> tuple[datetime, UUID]:
    try:
        created_at, _, project_id = urlsafe_b64decode(cursor.encode()).decode().partition("|")
        moment, found = datetime.fromisoformat(created_at).astimezone(UTC), UUID(project_id)
    except (binascii.Error, ValueError, OverflowError) as error:
        raise CursorInvalid(INVALID) from error
    if _encode(moment, found) != cursor:
        raise CursorInvalid(INVALID)
    return moment, found
