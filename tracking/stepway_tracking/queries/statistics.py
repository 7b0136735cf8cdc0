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
WITH ended AS (
  SELECT p.blueprint, s.project_id, s.step, s.status, s.duration, s.completed_at
  FROM project_initialization_steps s JOIN projects p ON p.id = s.project_id
  WHERE s.parent_step IS NULL AND s.completed_at >= $2::timestamptz
    AND ($1::text IS NULL OR p.blueprint = $1)
    AND ($3::text[] IS NULL OR p.owner = ANY($3))
), rounds AS (
  -- None of these steps is running, so all their rounds are over.
  SELECT e.blueprint, e.step, e.project_id, a.round, count(*) AS attempts,
         count(*) FILTER (WHERE a.outcome IN ('failed', 'timed_out', 'lost')) AS failed_attempts,
         (array_agg(a.outcome ORDER BY a.attempt DESC))[1] AS last
  FROM ended e JOIN project_initialization_attempts a USING (project_id, step)
  WHERE a.ended_at IS NOT NULL
  GROUP BY e.blueprint, e.step, e.project_id, a.round
), judged AS (
  SELECT *, last = 'completed' AS completed, last IN ('failed', 'timed_out', 'lost') AS failed,
         last IN ('cancelled', 'interrupted', 'paused') AS cancelled,
         round = min(round) OVER (PARTITION BY project_id, blueprint, step) AS first
  FROM rounds
), counted AS (
  SELECT blueprint, step,
         count(*) FILTER (WHERE completed OR failed) AS runs,
         count(*) FILTER (WHERE failed) AS failures,
         count(*) FILTER (WHERE cancelled) AS cancelled,
         coalesce(sum(attempts) FILTER (WHERE completed OR failed), 0) AS attempts,
         coalesce(sum(failed_attempts), 0) AS failed_attempts,
         count(*) FILTER (WHERE first AND completed AND failed_attempts = 0) AS at_first_try,
         count(*) FILTER (WHERE first AND (completed OR failed)) AS tried
  FROM judged GROUP BY blueprint, step
), durations AS (
  SELECT blueprint, step, max(completed_at) AS latest,
         (avg(duration) FILTER (WHERE status = 'completed'))::int AS average,
         percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY duration)
           FILTER (WHERE status = 'completed') AS middle,
         max(duration) FILTER (WHERE status = 'completed') AS max
  FROM ended GROUP BY blueprint, step
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
         'blueprint', t.blueprint, 'step', t.step, 'display_name', n.display_name,
         'runs', c.runs, 'failures', c.failures, 'cancelled', c.cancelled,
         'attempts', c.attempts, 'failed_attempts', c.failed_attempts,
         'first_try_rate', round(c.at_first_try::numeric / nullif(c.tried, 0), 4),
         'average', t.average, 'p50', t.middle[1]::int, 'p95', t.middle[2]::int, 'max', t.max)
       ORDER BY t.blueprint, n.sequence, t.step), '[]')::text
FROM durations t JOIN counted c USING (blueprint, step), LATERAL (
  -- Not in the grouped query, so that it reads only the index of durations.
  SELECT s.display_name, s.sequence
  FROM project_initialization_steps s JOIN projects p ON p.id = s.project_id
  WHERE s.parent_step IS NULL AND s.completed_at = t.latest
    AND s.step = t.step AND p.blueprint = t.blueprint
    AND ($3::text[] IS NULL OR p.owner = ANY($3))
  LIMIT 1
) n
WHERE c.runs + c.cancelled > 0
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

        `blueprint` and `owners` select steps; None selects all. `since` selects the steps that ended
        from then on; None stands for USUAL_PERIOD. A step counts with all its rounds: `runs` are
        the completed and the failed ones, `failures` the failed ones, `cancelled` those that were
        stopped. `first_try_rate` is the share of steps that completed without a failed attempt in
        their first round. Durations are those of completed steps.
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
