"""Durations and failures of steps, over all projects."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg


class Analytics:
    """Statistics of ended steps."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def steps(
        self,
        blueprint: str | None,
        since: datetime | None,
        owners: Sequence[str] | None = None,
    ) -> bytes:
        """A JSON array with an object for each step of each blueprint; durations are milliseconds.

        `blueprint`, `since` and `owners` select steps; None selects all. `runs` counts completed
        and failed steps; durations are those of completed steps.
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
              -- Not in the grouped query, so that it reads only the index of durations.
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
"""Number of newest projects that are read: enough for a p95, at a constant cost."""

FRESH_SECONDS = 30.0
"""Seconds for which a result is cached."""


@dataclass(frozen=True)
class UsualDuration:
    """Durations of one step in milliseconds; `samples` is the number of completed runs."""

    p50: int
    p95: int
    samples: int


class Durations:
    """Reads usual durations of steps, and caches them for FRESH_SECONDS."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._read: dict[str, tuple[float, dict[str, UsualDuration]]] = {}

    async def of(self, blueprint: str) -> dict[str, UsualDuration]:
        """Durations by step name; steps that never completed are left out."""
        now = time.monotonic()
        read_at, usual = self._read.get(blueprint, (float("-inf"), {}))
        if now - read_at > FRESH_SECONDS:
            usual = await self._query(blueprint)
            self._read[blueprint] = (now, usual)
        return usual

    async def _query(self, blueprint: str) -> dict[str, UsualDuration]:
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
        return {row["step"]: UsualDuration(row["p50"], row["p95"], row["samples"]) for row in rows}
