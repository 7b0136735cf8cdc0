"""Queries on the record. Each is one statement, and Postgres builds the JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

LARGEST_PAGE = 2_000_000
"""Characters of errors and stacks on one page of attempts."""


@dataclass(frozen=True)
class Snapshot:
    """An initialization at one version: its JSON in `body`, and whether it has ended."""

    version: int
    status: str
    ended: bool
    body: bytes


@dataclass(frozen=True)
class StoredEvent:
    """One event; `data` is its JSON."""

    version: int
    type: str
    data: bytes


@dataclass(frozen=True)
class Position:
    """A project's newest version, and whether its initialization has ended."""

    version: int
    ended: bool


class Reader:
    """Reads the record. Times in JSON are ISO 8601 with offset, durations are milliseconds."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def snapshot(self, project_id: UUID) -> Snapshot | None:
        """The complete initialization; None for an unknown project."""
        row = await self._pool.fetchrow(
            """
            SELECT version, status, initialization_completed_at IS NOT NULL AS ended,
                   stepway_initialization_json_v3(p)::text AS body
            FROM projects p WHERE id = $1
            """,
            project_id,
        )
        if row is None:
            return None
        return Snapshot(row["version"], row["status"], row["ended"], row["body"].encode())

    async def project(self, project_id: UUID) -> bytes | None:
        """The project's JSON; None for an unknown project."""
        return _encoded(
            await self._pool.fetchval(
                "SELECT stepway_project_json_v3(p)::text FROM projects p WHERE id = $1", project_id
            )
        )

    async def get_initialization_steps(self, project_id: UUID) -> bytes | None:
        """The steps in order, each sub-step after its parent; None for an unknown project."""
        return _encoded(
            await self._pool.fetchval(
                "SELECT stepway_steps_json_v3(id)::text FROM projects WHERE id = $1", project_id
            )
        )

    async def step_names(self, project_id: UUID) -> list[str] | None:
        """The names of a project's steps in order; None for an unknown project."""
        names: list[str] | None = await self._pool.fetchval(
            """
            SELECT ARRAY(SELECT step FROM project_initialization_steps
                         WHERE project_id = p.id AND parent_step IS NULL ORDER BY sequence)
            FROM projects p WHERE id = $1
            """,
            project_id,
        )
        return names

    async def has_part(self, project_id: UUID, name: str) -> bool:
        """Return whether a step of the project has reported this part, `parent.name`."""
        found: bool = await self._pool.fetchval(
            """
            SELECT EXISTS (SELECT FROM project_initialization_steps
                           WHERE project_id = $1 AND step = $2 AND parent_step IS NOT NULL)
            """,
            project_id,
            name,
        )
        return found

    async def attempts(
        self, project_id: UUID, step: str, after: int = 0, limit: int = 1000
    ) -> tuple[bytes, int | None]:
        """Up to `limit` attempts at a step, oldest first, without the first `after`, as JSON.

        A page also ends where its errors and stacks exceed LARGEST_PAGE characters. The second
        value is `after` for the next page, None on the last page.
        """
        row = await self._pool.fetchrow(
            """
            WITH found AS (
              SELECT project_id, step, round, attempt, run_id, activity_id, started_at, ended_at,
                     outcome, error, error_stack, error_details, worker
              FROM project_initialization_attempts WHERE project_id = $1 AND step = $2
              ORDER BY round, attempt OFFSET $3 LIMIT $4 + 1
            ), page AS (
              SELECT found, row_number() OVER in_order AS number,
                     sum(coalesce(length(error), 0) + coalesce(length(error_stack), 0)
                         + coalesce(length(error_details::text), 0)) OVER in_order AS size
              FROM found WINDOW in_order AS (ORDER BY round, attempt)
            ), shown AS (
              SELECT * FROM page WHERE number = 1 OR number <= $4 AND size <= $5
            )
            SELECT coalesce(jsonb_agg(to_jsonb(found) ORDER BY number), '[]')::text AS items,
                   count(*) AS number, (SELECT count(*) FROM page) > count(*) AS more
            FROM shown
            """,
            project_id,
            step,
            after,
            limit,
            LARGEST_PAGE,
        )
        return row["items"].encode(), after + row["number"] if row["more"] else None

    async def events_after(
        self, project_id: UUID, version: int, limit: int = 1000
    ) -> list[StoredEvent]:
        """Events after a version, in order, except events of progress that pruning has deleted."""
        rows = await self._pool.fetch(
            """
            SELECT version, type, payload::text AS data FROM project_initialization_events
            WHERE project_id = $1 AND version > $2 ORDER BY version LIMIT $3
            """,
            project_id,
            version,
            limit,
        )
        return [StoredEvent(row["version"], row["type"], row["data"].encode()) for row in rows]

    async def history(
        self, project_id: UUID, after: int, limit: int, *, progress: bool
    ) -> tuple[bytes, int | None]:
        """Up to `limit` events after version `after`, as a JSON array.

        The second value is `after` for the next page, None on the last page. `progress` includes
        events of progress.
        """
        row = await self._pool.fetchrow(
            """
            WITH page AS (
              SELECT * FROM project_initialization_events
              WHERE project_id = $1 AND version > $2 AND ($4 OR action <> 'progressed')
              ORDER BY version LIMIT $3 + 1
            ), shown AS (SELECT * FROM page ORDER BY version LIMIT $3)
            SELECT coalesce(jsonb_agg(to_jsonb(shown) - 'change_id' ORDER BY version), '[]')::text
                     AS items,
                   max(version) AS last, (SELECT count(*) FROM page) > $3 AS more
            FROM shown
            """,
            project_id,
            after,
            limit,
            progress,
        )
        return row["items"].encode(), row["last"] if row["more"] else None

    async def positions(self, project_ids: Iterable[UUID]) -> dict[UUID, Position]:
        """The position of each project, in one query; unknown projects are left out."""
        rows = await self._pool.fetch(
            """
            SELECT id, version, initialization_completed_at IS NOT NULL AS ended
            FROM projects WHERE id = ANY($1::uuid[])
            """,
            list(project_ids),
        )
        return {row["id"]: Position(row["version"], row["ended"]) for row in rows}


def _encoded(body: str | None) -> bytes | None:
    return None if body is None else body.encode()
