"""Durations and failures of steps, over all projects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

USUAL_PERIOD = timedelta(days=30)
"""The period of the statistics if the caller names none."""

FRESH_SECONDS = 30.0
"""Seconds for which a result is cached."""

MOST_CACHED = 100
"""Number of different questions whose answers are cached."""

_STATISTICS = """
WITH completed AS (
  -- Reads only the index of durations.
  SELECT p.blueprint, s.step, count(*) AS number, max(s.completed_at) AS latest,
         avg(s.duration)::int AS average, max(s.duration) AS max,
         percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY s.duration) AS middle
  FROM project_initialization_steps s JOIN projects p ON p.id = s.project_id
  WHERE s.parent_step IS NULL AND s.status = 'completed' AND s.completed_at >= $2::timestamptz
    AND ($1::text IS NULL OR p.blueprint = $1)
    AND ($3::text[] IS NULL OR p.owner = ANY($3))
  GROUP BY p.blueprint, s.step
), rounds AS (
  -- Rounds with an attempt that did not complete.
  SELECT p.blueprint, s.step, s.project_id, a.round, count(*) AS attempts,
         count(*) FILTER (WHERE a.outcome IN ('failed', 'timed_out', 'lost')) AS failed_attempts,
         (array_agg(a.outcome ORDER BY a.attempt DESC))[1] AS last,
         -- Its last attempt completed, or is still to come.
         a.round = s.round AND (s.status IN ('completed', 'running')
           OR s.status = 'skipped' AND NOT s.metadata ? 'skipped_by') AS recovers,
         s.status = 'completed' AND s.completed_at >= $2 AS completed,
         -- The step itself found nothing to do; only such an attempt is skipped.
         s.status = 'skipped' AND s.started_at IS NOT NULL
           AND NOT s.metadata ? 'skipped_by' AS needless,
         s.display_name, s.sequence
  FROM project_initialization_attempts a
  JOIN project_initialization_steps s USING (project_id, step)
  JOIN projects p ON p.id = s.project_id
  WHERE a.outcome <> 'completed' AND a.ended_at >= $2
    AND ($1::text IS NULL OR p.blueprint = $1)
    AND ($3::text[] IS NULL OR p.owner = ANY($3))
  GROUP BY p.blueprint, s.id, a.round
), troubled AS (
  SELECT blueprint, step, max(display_name) AS display_name, min(sequence) AS sequence,
         sum(attempts) AS attempts, sum(failed_attempts) AS failed_attempts,
         count(*) FILTER (WHERE NOT recovers AND last IN ('failed', 'timed_out', 'lost'))
           AS failures,
         count(*) FILTER (WHERE NOT recovers AND last IN ('cancelled', 'interrupted', 'paused'))
           AS cancelled,
         count(*) FILTER (WHERE last = 'skipped') AS skipped,
         count(DISTINCT project_id) FILTER (WHERE needless AND last = 'skipped') AS needless,
         count(DISTINCT project_id) FILTER (
           WHERE failed_attempts > 0 AND (completed OR needless)) AS repaired,
         count(DISTINCT project_id) FILTER (
           WHERE NOT completed AND NOT needless AND NOT recovers
             AND last IN ('failed', 'timed_out', 'lost')) AS unrepaired
  FROM rounds GROUP BY blueprint, step
), counted AS (
  SELECT blueprint, step, coalesce(c.number, 0) AS completed, c.latest, c.average, c.middle, c.max,
         t.display_name, t.sequence,
         coalesce(t.attempts, 0) AS attempts, coalesce(t.failed_attempts, 0) AS failed_attempts,
         coalesce(t.failures, 0) AS failures, coalesce(t.cancelled, 0) AS cancelled,
         coalesce(t.skipped, 0) AS skipped, coalesce(t.needless, 0) AS needless,
         coalesce(t.repaired, 0) AS repaired, coalesce(t.unrepaired, 0) AS unrepaired
  FROM completed c FULL JOIN troubled t USING (blueprint, step)
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
         'blueprint', c.blueprint, 'step', c.step,
         'display_name', coalesce(n.display_name, c.display_name),
         'runs', c.completed + c.skipped + c.failures, 'failures', c.failures,
         'skipped', c.skipped, 'cancelled', c.cancelled,
         'attempts', c.completed + c.attempts, 'failed_attempts', c.failed_attempts,
         'first_try_rate', round((c.completed + c.needless - c.repaired)::numeric
                                 / nullif(c.completed + c.needless + c.unrepaired, 0), 4),
         'average', c.average, 'p50', c.middle[1]::int, 'p95', c.middle[2]::int, 'max', c.max)
       ORDER BY c.blueprint, coalesce(n.sequence, c.sequence), c.step), '[]')::text
FROM counted c LEFT JOIN LATERAL (
  SELECT s.display_name, s.sequence
  FROM project_initialization_steps s JOIN projects p ON p.id = s.project_id
  WHERE s.parent_step IS NULL AND s.completed_at = c.latest
    AND s.step = c.step AND p.blueprint = c.blueprint
    AND ($3::text[] IS NULL OR p.owner = ANY($3))
  LIMIT 1
) n ON true
"""


class Analytics:
    """Statistics of ended steps, cached for FRESH_SECONDS."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._cached: dict[Hashable, tuple[float, bytes]] = {}
        # One query at a time: many at once would take the connections of all other requests.
        self._querying = asyncio.Lock()

    async def steps(
        self,
        blueprint: str | None,
        since: datetime | None,
        owners: Sequence[str] | None = None,
    ) -> bytes:
        """A JSON array with an object for each step of each blueprint; durations are milliseconds.

        `blueprint` and `owners` select steps; None selects all. `since` is the beginning of the
        period; None stands for USUAL_PERIOD. `runs` are rounds that ended by themselves, `failures`
        those of them that failed, `skipped` those in which the step found nothing to do;
        `cancelled` are rounds that were stopped. `attempts` are those of all rounds.
        `first_try_rate` is the share of steps that ended well without a failed attempt. Durations
        are those of completed steps.
        """
        key = (blueprint, since, None if owners is None else tuple(owners))
        async with self._querying:
            read_at, body = self._cached.get(key, (float("-inf"), b""))
            if time.monotonic() - read_at > FRESH_SECONDS:
                body = await self._query(
                    blueprint, since or datetime.now(UTC) - USUAL_PERIOD, owners
                )
                self._keep(key, body)
            return body

    def _keep(self, key: Hashable, body: bytes) -> None:
        self._cached.pop(key, None)
        while len(self._cached) >= MOST_CACHED:
            self._cached.pop(next(iter(self._cached)))
        self._cached[key] = time.monotonic(), body

    async def _query(
        self, blueprint: str | None, since: datetime, owners: Sequence[str] | None
    ) -> bytes:
        body: str = await self._pool.fetchval(_STATISTICS, blueprint, since, owners)
        return body.encode()


LATEST = 200
"""Number of newest projects that are read: enough for a p95, at a constant cost."""


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
