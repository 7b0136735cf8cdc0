"""How long steps took, over all projects."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg


class Analytics:
    """Statistics on the rows of steps that have ended."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def steps(
        self,
        blueprint: str | None,
        since: datetime | None,
        owners: Sequence[str] | None = None,
    ) -> bytes:
        """A JSON array, one object a blueprint's step, in its order; durations are milliseconds.

        Only projects of these owners count, None for all.

        `runs` are completed and failed steps, the durations those of the completed ones.
        """
        body: str = await self._pool.fetchval(
            """
            WITH ended AS (
              SELECT p.blueprint, s.step, s.status, s.duration, s.completed_at
              FROM project_initialization_steps s JOIN projects p ON p.id = s.project_id
              WHERE s.parent_step IS NULL AND s.completed_at IS NOT NULL
                AND s.status IN ('completed', 'failed')
                AND ($1::text IS NULL OR p.blueprint = $1)
                AND s.completed_at >= coalesce($2::timestamptz, '-infinity')
                AND ($3::text[] IS NULL OR p.owner = ANY($3))
            ), statistics AS (
              SELECT blueprint, step, max(completed_at) AS latest,
                     count(*) AS runs,
                     count(*) FILTER (WHERE status = 'failed') AS failures,
                     (avg(duration) FILTER (WHERE status = 'completed'))::int AS average,
                     percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY duration)
                       FILTER (WHERE status = 'completed') AS middle,
                     max(duration) FILTER (WHERE status = 'completed') AS max
              FROM ended GROUP BY blueprint, step
            )
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                     'blueprint', t.blueprint, 'step', t.step, 'display_name', n.display_name,
                     'runs', t.runs, 'failures', t.failures, 'average', t.average,
                     'p50', t.middle[1]::int, 'p95', t.middle[2]::int, 'max', t.max)
                   ORDER BY t.blueprint, n.sequence, t.step), '[]')::text
            FROM statistics t, LATERAL (
              -- Not among what is grouped: the index of durations alone is read for that.
              SELECT s.display_name, s.sequence
              FROM project_initialization_steps s JOIN projects p ON p.id = s.project_id
              WHERE s.parent_step IS NULL AND s.completed_at = t.latest
                AND s.step = t.step AND p.blueprint = t.blueprint
                AND ($3::text[] IS NULL OR p.owner = ANY($3))
              LIMIT 1
            ) n
            """,
            blueprint,
            since,
            owners,
        )
        return body.encode()


LATEST = 200
"""Projects that count: enough for a p95, and the same cost however many there are."""

FRESH_SECONDS = 30.0


@dataclass(frozen=True)
class Usual:
    """Durations of one step in milliseconds, and from how many completed runs."""

    p50: int
    p95: int
    samples: int


class Durations:
    """Reads usual durations, and keeps what it read for a short while."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._read: dict[str, tuple[float, dict[str, Usual]]] = {}

    async def of(self, blueprint: str) -> dict[str, Usual]:
        """By step; a step that never completed is missing."""
        now = time.monotonic()
        read_at, usual = self._read.get(blueprint, (float("-inf"), {}))
        if now - read_at > FRESH_SECONDS:
            usual = await self._query(blueprint)
            self._read[blueprint] = (now, usual)
        return usual

    async def _query(self, blueprint: str) -> dict[str, Usual]:
        rows = await self._pool.fetch(
            """
            WITH latest AS (
              SELECT id FROM projects WHERE blueprint = $1 AND status = 'active'
              ORDER BY created_at DESC LIMIT $2
            )
            SELECT s.step, count(*) AS samples,
                   percentile_disc(0.5) WITHIN GROUP (ORDER BY s.duration) AS p50,
                   percentile_disc(0.95) WITHIN GROUP (ORDER BY s.duration) AS p95
            FROM latest JOIN project_initialization_steps s ON s.project_id = latest.id
            WHERE s.status = 'completed' AND s.parent_step IS NULL
            GROUP BY s.step
            """,
            blueprint,
            LATEST,
        )
        return {row["step"]: Usual(row["p50"], row["p95"], row["samples"]) for row in rows}
