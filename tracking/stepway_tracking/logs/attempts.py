"""Finds the attempt whose log is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from stepway_tracking.logs.attempt_log import AttemptKey

ATTEMPT = """
SELECT round, attempt, run_id, activity_id, outcome, ended_at
  FROM project_initialization_attempts
 WHERE project_id = $1 AND step = $2
   AND ($3::int IS NULL OR round = $3) AND ($4::int IS NULL OR attempt = $4)
 ORDER BY round DESC, attempt DESC
 LIMIT 1
"""

OUTCOME = """
SELECT CASE WHEN ended_at IS NOT NULL THEN coalesce(outcome, 'lost') END AS outcome,
       EXISTS (SELECT FROM project_initialization_attempts AS newer
                WHERE newer.project_id = $1 AND newer.step = $2
                  AND (newer.round, newer.attempt) > (attempts.round, attempts.attempt))
         AS superseded
  FROM project_initialization_attempts AS attempts
 WHERE project_id = $1 AND step = $2 AND run_id = $3 AND activity_id = $4 AND attempt = $5
 ORDER BY round DESC
 LIMIT 1
"""

ROLLBACK = """
SELECT logs.run_id, logs.activity_id, logs.attempt,
       steps.metadata -> 'undo' ->> 'status' AS status
  FROM (SELECT project_id, step, run_id, activity_id, attempt, at
          FROM project_initialization_logs WHERE rollback
         UNION ALL
        SELECT project_id, step, run_id, activity_id, attempt, at
          FROM project_initialization_logs_archived WHERE rollback AND state = 'stored') AS logs
  JOIN project_initialization_steps AS steps USING (project_id, step)
 WHERE logs.project_id = $1 AND logs.step = $2
 ORDER BY logs.at DESC
 LIMIT 1
"""


@dataclass(frozen=True)
class LoggedAttempt:
    """An attempt with a log. `outcome` is one of AttemptOutcome; None while it runs."""

    key: AttemptKey
    outcome: str | None
    ended_at: datetime | None = None


class LoggedAttempts:
    """Looks attempts up. Methods raise the driver's errors."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def find(
        self, project_id: UUID, step: str, round_: int | None = None, attempt: int | None = None
    ) -> LoggedAttempt | None:
        """The attempt; the newest one where numbers are not given. None if there is none."""
        row = await self._pool.fetchrow(ATTEMPT, project_id, step, round_, attempt)
        if row is None or row["run_id"] is None:
            return None
        key = AttemptKey(str(project_id), step, row["run_id"], row["activity_id"], row["attempt"])
        ended_at = row["ended_at"]
        return LoggedAttempt(key, (row["outcome"] or "lost") if ended_at else None, ended_at)

    async def find_rollback(self, project_id: UUID, step: str) -> LoggedAttempt | None:
        """The newest attempt at the step's rollback that has a log."""
        row = await self._pool.fetchrow(ROLLBACK, project_id, step)
        if row is None:
            return None
        values = (row["run_id"], row["activity_id"], row["attempt"], True)
        status = row["status"]
        outcome = None if status == "running" else status
        return LoggedAttempt(AttemptKey(str(project_id), step, *values), outcome)

    async def outcome(self, key: AttemptKey) -> str | None:
        """How the attempt has ended; None while it runs."""
        project_id = UUID(key.project_id)
        if key.rollback:
            found = await self.find_rollback(project_id, key.step)
            return found.outcome if found and found.key == key else "failed"
        values = (project_id, key.step, key.run_id, key.activity_id, key.attempt)
        row = await self._pool.fetchrow(OUTCOME, *values)
        return row["outcome"] if row else "lost"

    async def is_superseded(self, key: AttemptKey) -> bool:
        """Whether a newer attempt of the step has begun."""
        values = (UUID(key.project_id), key.step, key.run_id, key.activity_id, key.attempt)
        row = None if key.rollback else await self._pool.fetchrow(OUTCOME, *values)
        return row is not None and bool(row["superseded"])
