"""How long a blueprint's steps usually take, by its latest projects."""

from __future__ import annotations

import time
from dataclasses import dataclass

import asyncpg

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
