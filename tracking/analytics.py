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
              SELECT p.blueprint, s.step, s.display_name, s.sequence, s.status, s.duration,
                     s.completed_at
              FROM project_initialization_steps s JOIN projects p ON p.id = s.project_id
              WHERE s.parent_step IS NULL AND s.completed_at IS NOT NULL
                AND s.status IN ('completed', 'failed')
                AND ($1::text IS NULL OR p.blueprint = $1)
                AND ($2::timestamptz IS NULL OR s.completed_at >= $2)
                AND ($3::text[] IS NULL OR p.owner = ANY($3))
            ), statistics AS (
              SELECT blueprint, step,
                     (array_agg(display_name ORDER BY completed_at DESC))[1] AS display_name,
                     min(sequence) AS sequence,
                     count(*) AS runs,
                     count(*) FILTER (WHERE status = 'failed') AS failures,
                     (avg(duration) FILTER (WHERE status = 'completed'))::int AS average,
                     (percentile_cont(0.5) WITHIN GROUP (ORDER BY duration)
                        FILTER (WHERE status = 'completed'))::int AS p50,
                     (percentile_cont(0.95) WITHIN GROUP (ORDER BY duration)
                        FILTER (WHERE status = 'completed'))::int AS p95,
                     max(duration) FILTER (WHERE status = 'completed') AS max
              FROM ended GROUP BY blueprint, step
            )
            SELECT coalesce(jsonb_agg(to_jsonb(t) - 'sequence'
                            ORDER BY t.blueprint, t.sequence, t.step), '[]')::text
            FROM statistics t
            """,
            blueprint,
            since,
            owners,
        )
        return body.encode()
