"""Moves the logs of ended attempts from Postgres into a store of objects; removes them there."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import zlib
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from stepway_tracking.logs.attempt_log import AttemptKey
from stepway_tracking.logs.blobs import LogBlobs
from stepway_tracking.logs.store import LogStore, RawRow, values_of
from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.errors import LogStoreAway

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two looks; any worker may do it."""

AT_ONCE = 20
"""Logs that one look moves before it looks again."""

WAITING = """
SELECT project_id, step, run_id, activity_id, attempt, rollback,
       min(first_seq) AS first_seq, max(last_seq) AS last_seq, max(at) AS at, bool_or(ends) AS ends
  FROM project_initialization_logs
 GROUP BY project_id, step, run_id, activity_id, attempt, rollback
HAVING (bool_or(ends) AND max(at) < now() - $1::interval) OR max(at) < now() - $2::interval
 LIMIT $3
"""

CLAIM = """
INSERT INTO project_initialization_logs_archived AS archived
       (project_id, step, run_id, activity_id, attempt, rollback, first_seq, last_seq, ends, size,
        at, path, claimed_at, state, frames)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, clock_timestamp(), 'uploading', '[]'
  FROM projects WHERE id = $1 FOR KEY SHARE
    ON CONFLICT (project_id, step, run_id, activity_id, attempt, first_seq) DO UPDATE
   SET claimed_at = clock_timestamp(), path = excluded.path, last_seq = excluded.last_seq,
       ends = excluded.ends, at = excluded.at
 WHERE archived.state = 'uploading' AND archived.claimed_at < now() - interval '10 minutes'
RETURNING claimed_at
"""

CONFIRM = """
UPDATE project_initialization_logs_archived
   SET state = 'stored', size = $6, frames = $7
 WHERE project_id = $1 AND path = $2 AND claimed_at = $3 AND state = 'uploading'
   AND first_seq = $4 AND last_seq = $5
RETURNING 1
"""

MOVED = """
DELETE FROM project_initialization_logs
 WHERE project_id = $1 AND step = $2 AND run_id = $3 AND activity_id = $4 AND attempt = $5
   AND first_seq >= $6 AND last_seq <= $7
"""

RELEASE = """
DELETE FROM project_initialization_logs_archived
 WHERE project_id = $1 AND path = $2 AND claimed_at = $3 AND state = 'uploading'
"""

REMOVED = """
SELECT DISTINCT project_id FROM project_initialization_logs_archived WHERE state = 'removed'
"""

FORGET_PROJECT = """
DELETE FROM project_initialization_logs_archived WHERE project_id = $1 AND state = 'removed'
"""

OLD = """
SELECT path FROM project_initialization_logs_archived
 WHERE state = 'stored' AND at < date_trunc('day', now(), 'UTC') - make_interval(days => $1)
 LIMIT 1000
"""

FORGET = "DELETE FROM project_initialization_logs_archived WHERE path = ANY($1::text[])"


@dataclass(frozen=True)
class ArchiveTimes:
    """When logs are moved, as intervals in seconds after their last line.

    `ended` is for logs with their end. `silent` is for others; lines that come later are moved
    later, into an object of their own.
    """

    ended: float = 60.0
    silent: float = 3600.0


class LogArchive:
    """Moves logs. Methods raise LogStoreAway, and the driver's and the connection's errors."""

    def __init__(
        self, pool: asyncpg.Pool, blobs: LogBlobs, times: ArchiveTimes | None = None
    ) -> None:
        self._pool = pool
        self._store = LogStore(pool, blobs)
        self._blobs = blobs
        self._times = times or ArchiveTimes()

    async def move(self) -> int:
        """Move the logs that have ended; return how many."""
        moved = 0
        while rows := await self._waiting():
            done = [await self._move_one(row) for row in rows]
            moved += sum(done)
            if not any(done):
                break
        return moved

    async def remove(self, days: int | None) -> None:
        """Remove the objects of deleted projects, and those older than `days` days; None: none."""
        for row in await self._pool.fetch(REMOVED):
            project = row["project_id"]
            # All of them: a worker may have died between an upload and its confirmation.
            await self._blobs.delete(await self._blobs.below(str(project)))
            await self._pool.execute(FORGET_PROJECT, project)
        while days is not None:
            paths = [row["path"] for row in await self._pool.fetch(OLD, days)]
            if not paths:
                return
            await self._blobs.delete(paths)
            await self._pool.execute(FORGET, paths)

    async def _waiting(self) -> list[asyncpg.Record]:
        ended, silent = (timedelta(seconds=s) for s in (self._times.ended, self._times.silent))
        found: list[asyncpg.Record] = await self._pool.fetch(WAITING, ended, silent, AT_ONCE)
        return found

    async def _move_one(self, row: asyncpg.Record) -> bool:
        key = AttemptKey(
            str(row["project_id"]),
            *(row[name] for name in ("step", "run_id", "activity_id", "attempt", "rollback")),
        )
        first, last = row["first_seq"], row["last_seq"]
        path = _path(key, first)
        claimed_at = await self._pool.fetchval(
            CLAIM, *values_of(key), key.rollback, first, last, row["ends"], row["at"], path
        )
        if claimed_at is None:
            return False  # Another worker moves it, or the project is gone.
        claim = (UUID(key.project_id), path, claimed_at)
        try:
            content, frames, size = await self._content(key, first, last)
            if frames:
                await self._blobs.put(path, content)
        except BaseException:
            await asyncio.shield(self._pool.execute(RELEASE, *claim))
            raise
        if not frames:
            await self._pool.execute(RELEASE, *claim)  # The rows were removed meanwhile.
            return False
        async with self._pool.acquire() as connection, connection.transaction():
            confirmed = await connection.fetchval(
                CONFIRM, *claim, first, last, size, json.dumps(frames)
            )
            if confirmed:
                await connection.execute(MOVED, *values_of(key), first, last)
        if not confirmed:
            await self._blobs.delete([path])
        return bool(confirmed)

    async def _content(
        self, key: AttemptKey, first: int, last: int
    ) -> tuple[bytes, list[list[int]], int]:
        """The object, its frames (first and last number, start and length), and its characters."""
        content, frames, size, after = bytearray(), [], 0, first - 1
        while after < last:
            rows = await self._store.read_rows(key, after)
            rows = [row for row in rows if row.last_seq <= last]
            if not rows:
                break
            packed = await asyncio.to_thread(_packed, rows)
            after = rows[-1].last_seq
            frames.append([rows[0].first_seq, after, len(content), len(packed)])
            content += packed
            size += sum(row.size for row in rows)
        return bytes(content), frames, size


async def archive_forever(archive: LogArchive, days: int | None) -> None:
    """Move and remove logs until cancelled. Failures are logged."""
    while True:
        try:
            if moved := await archive.move():
                log.info("Moved %s logs into the store", moved)
            await archive.remove(days)
        except LogStoreAway as error:
            log.warning("Logs stay in Postgres now: %s", error.reason)
        except (*UNREACHABLE, asyncpg.PostgresError) as error:
            log.warning("Logs are not moved now: %r", error)
        except Exception:
            log.exception("Logs are not moved now")
        await asyncio.sleep(EVERY * random.uniform(0.5, 1))


def _path(key: AttemptKey, first: int) -> str:
    parts: list[Any] = [key.step, key.run_id, key.activity_id, key.attempt]
    digest = sha256(json.dumps(parts).encode()).hexdigest()[:32]
    # Each upload has its own: a slow one must not overwrite the one that is confirmed.
    return f"{key.project_id}/{digest}-{first}-{uuid4().hex[:8]}.z"


def _packed(rows: list[RawRow]) -> bytes:
    return zlib.compress(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode())
