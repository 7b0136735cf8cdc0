"""How long steps took, over all projects."""

from __future__ import annotations

from collections.abc import Sequence
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
