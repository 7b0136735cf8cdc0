"""Reads the projects whose initialization has not ended."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

FULL_LOOK = timedelta(hours=1)
"""Time in which each unfinished project is looked at once. The project's ID decides when."""

NEW = timedelta(seconds=30)
"""Age, counted from the previous sweep, up to which a project counts as new: clocks differ."""


@dataclass(frozen=True)
class StalledProject:
    """A project that has not ended, with its steps; `idle` is the time since its last change."""

    id: UUID
    workflow_id: str
    updated_at: datetime
    version: int
    idle: timedelta
    running: list[str]
    pending: list[str]


class Unfinished:
    """Queries for the sweep."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def due(
        self, since: datetime | None, now: datetime, again: Collection[str]
    ) -> dict[UUID, str]:
        """Return the workflow IDs of the projects to look at, by project.

        These are the projects in `again`, new ones, and those whose turn came after `since`; all if
        `since` is None.
        """
        period = int(FULL_LOOK.total_seconds())
        begin, end = int(since.timestamp()) if since else 0, int(now.timestamp())
        rows = await self._pool.fetch(
            """
            SELECT id, workflow_id FROM projects
            WHERE initialization_completed_at IS NULL AND (
              id = ANY($1::uuid[]) OR created_at > $2
              OR (('x' || right(id::text, 7))::bit(28)::integer % $3 - $4 + $3) % $3 < $5)
            """,
            list(again),
            (since or now) - NEW,
            period,
            (begin + 1) % period,
            min(end - begin, period),
        )
        return {row["id"]: row["workflow_id"] for row in rows}

    async def with_workflows(self, workflow_ids: Collection[str]) -> set[UUID]:
        """Return the projects of these workflows."""
        rows = await self._pool.fetch(
            """
            SELECT id FROM projects
            WHERE initialization_completed_at IS NULL AND workflow_id = ANY($1::text[])
            """,
            list(workflow_ids),
        )
        return {row["id"] for row in rows}

    async def with_steps(self, project_ids: Collection[UUID]) -> list[StalledProject]:
        """Return these projects as they are now, without those that have ended."""
        rows = await self._pool.fetch(
            """
            SELECT p.id, p.workflow_id, p.updated_at, p.version, now() - p.updated_at,
                   coalesce(array_agg(s.step ORDER BY s.sequence)
                            FILTER (WHERE s.status = 'running'), '{}'),
                   coalesce(array_agg(s.step ORDER BY s.sequence)
                            FILTER (WHERE s.status = 'pending'), '{}')
            FROM projects p LEFT JOIN project_initialization_steps s
              ON s.project_id = p.id AND s.parent_step IS NULL
            WHERE p.initialization_completed_at IS NULL AND p.id = ANY($1::uuid[])
            GROUP BY p.id
            """,
            list(project_ids),
        )
        return [StalledProject(*row) for row in rows]
