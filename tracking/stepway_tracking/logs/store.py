"""Reads and writes logs in Postgres: a row holds some lines of an attempt."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from stepway_tracking.logs.attempt_log import AttemptKey, Batch
from stepway_tracking.logs.blobs import LogBlobs
from stepway_tracking.logs.line import LogLine
from stepway_tracking.record.errors import LogStoreAway

INSERT = """
INSERT INTO project_initialization_logs
       (project_id, step, run_id, activity_id, attempt, rollback, first_seq,
        last_seq, start, size, at, ends, lines)
SELECT given.*
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bool[],
              $7::bigint[], $8::bigint[], $9::bigint[], $10::int[], $11::timestamptz[],
              $12::bool[], $13::text[])
       AS given (project_id, step, run_id, activity_id, attempt, rollback, first_seq, last_seq,
                 start, size, at, ends, lines)
  JOIN projects ON projects.id = given.project_id
    ON CONFLICT DO NOTHING
"""
# A write whose answer was lost is repeated.

TRIM = """
DELETE FROM project_initialization_logs
 WHERE project_id = $1 AND step = $2 AND run_id = $3 AND activity_id = $4 AND attempt = $5
   AND start >= $6 AND start + size <= $7
"""

SIZE = """
SELECT coalesce(sum(size), 0)::bigint
  FROM (SELECT size FROM project_initialization_logs WHERE project_id = $1
         UNION ALL
        SELECT size FROM project_initialization_logs_archived WHERE project_id = $1) AS sizes
"""

READ = """
SELECT first_seq, last_seq, start, size, ends, lines
  FROM (SELECT *, sum(size) OVER (ORDER BY first_seq) - size AS before
          FROM (SELECT *
                  FROM project_initialization_logs
                 WHERE project_id = $1 AND step = $2 AND run_id = $3 AND activity_id = $4
                   AND attempt = $5 AND last_seq > $6
                 ORDER BY first_seq
                 LIMIT $7) AS next) AS summed
 WHERE before < $8
 ORDER BY first_seq
"""

_OF_ATTEMPT = "project_id = $1 AND step = $2 AND run_id = $3 AND activity_id = $4 AND attempt = $5"

LAST_SEQ = f"""
(SELECT last_seq - ends::int AS last FROM project_initialization_logs
  WHERE {_OF_ATTEMPT} ORDER BY first_seq DESC LIMIT 1)
 UNION ALL
(SELECT last_seq - ends::int FROM project_initialization_logs_archived
  WHERE {_OF_ATTEMPT} AND state = 'stored' ORDER BY first_seq DESC LIMIT 1)
 ORDER BY last DESC
 LIMIT 1
"""

ARCHIVED = f"""
SELECT path, first_seq, last_seq, ends, frames FROM project_initialization_logs_archived
 WHERE {_OF_ATTEMPT} AND state = 'stored' AND last_seq > $6
   AND ($7::bigint IS NULL OR first_seq < $7)
 ORDER BY first_seq
 LIMIT 1
"""

MOST_ROWS = 256
"""Rows in one read."""

MOST_READ = 1024 * 1024
"""Characters in one read, about."""


@dataclass(frozen=True)
class Chunk:
    """Some lines of an attempt, in order. `start` counts the characters of all lines before.

    The last chunk `ends` the log; it has no lines, and its number is the one after the last line.
    A chunk that is `removed` has no lines, and its `start` and `size` are not known: its lines are
    gone from the store of objects. `encoded` is for readers that share a chunk: its lines in their
    formats.
    """

    lines: tuple[LogLine, ...]
    start: int
    size: int
    first_seq: int
    last_seq: int
    ends: bool = False
    removed: bool = False
    encoded: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)


class RawRow(NamedTuple):
    """A row as it is kept; `lines` is JSON."""

    first_seq: int
    last_seq: int
    start: int
    size: int
    ends: bool
    lines: str


class LogStore:
    """The table of logs, and the store of objects for those of ended attempts.

    Methods raise asyncpg's and the connection's errors; those that read raise LogStoreAway too.
    """

    def __init__(self, pool: asyncpg.Pool, blobs: LogBlobs | None = None) -> None:
        self._pool = pool
        self._blobs = blobs

    async def write(self, batches: Sequence[Batch]) -> None:
        """Write the lines in one statement. Those of a deleted project are left out."""
        rows = [_row(batch) for batch in batches]
        await self._pool.execute(INSERT, *(list(column) for column in zip(*rows, strict=True)))

    async def trim(self, key: AttemptKey, start: int, stop: int) -> None:
        """Delete the rows between two places, which count characters."""
        await self._pool.execute(TRIM, *values_of(key), start, stop)

    async def size(self, project_id: str) -> int:
        """Characters of all logs of a project."""
        size: int = await self._pool.fetchval(SIZE, UUID(project_id))
        return size

    async def keep(self, days: int | None) -> int:
        """Add partitions for the next days, and remove lines that are older than `days` days.

        Returns the number of partitions that were removed. None keeps all lines.
        """
        dropped: int = await self._pool.fetchval("SELECT stepway_keep_logs_v1($1)", days)
        return dropped

    async def read(
        self, key: AttemptKey, after: int, rows: int = MOST_ROWS, size: int = MOST_READ
    ) -> list[Chunk]:
        """The next rows with lines after number `after`: up to `rows`, of about `size` characters.

        Empty if there are none.
        """
        # First Postgres: what is moved meanwhile is in the store then.
        found = await self.read_rows(key, after, rows, size)
        if not found or found[0].first_seq > after + 1:
            before = found[0].first_seq if found else None
            archived = await self._pool.fetchrow(ARCHIVED, *values_of(key), after, before)
            if archived is not None:
                old = await self._read_archived(archived, after)
                if old is None:
                    return [_removed(archived)]
                found = old[:rows]
        return [_chunk(row) for row in found]

    async def read_rows(
        self, key: AttemptKey, after: int, rows: int = MOST_ROWS, size: int = MOST_READ
    ) -> list[RawRow]:
        """The next rows in Postgres, as they are."""
        found = await self._pool.fetch(READ, *values_of(key), after, rows, size)
        return [RawRow(*row) for row in found]

    async def _read_archived(self, archived: asyncpg.Record, after: int) -> list[RawRow] | None:
        """The next rows in an object; None if it is gone."""
        if self._blobs is None:
            raise LogStoreAway("This log is in a store of objects, and none is set.")
        frames = json.loads(archived["frames"])
        start, length = next(frame[2:] for frame in frames if frame[1] > after)
        packed = await self._blobs.read(archived["path"], start, length)
        if packed is None:
            return None
        rows = [
            RawRow(*row) for row in json.loads(await asyncio.to_thread(zlib.decompress, packed))
        ]
        return [row for row in rows if row.last_seq > after]

    async def last_seq(self, key: AttemptKey) -> int:
        """The number of the last line; 0 if there are none."""
        found: int | None = await self._pool.fetchval(LAST_SEQ, *values_of(key))
        return found or 0


def values_of(key: AttemptKey) -> tuple[Any, ...]:
    """The columns of an attempt: project, step, run, activity and attempt."""
    return (UUID(key.project_id), key.step, key.run_id, key.activity_id, key.attempt)


def _row(batch: Batch) -> tuple[Any, ...]:
    lines = [
        [_milliseconds(line.at), line.seq, line.level, line.stream, line.text]
        for line in batch.lines
    ]
    return (
        *values_of(batch.key),
        batch.key.rollback,
        batch.first_seq,
        batch.last_seq,
        batch.offset,
        batch.size,
        batch.lines[0].at if batch.lines else datetime.now(UTC),
        batch.ends,
        json.dumps(lines, ensure_ascii=False, separators=(",", ":")),
    )


def _chunk(row: RawRow) -> Chunk:
    lines = (
        LogLine(seq, datetime.fromtimestamp(at / 1000, UTC), level, stream, text)
        for at, seq, level, stream, text in json.loads(row.lines)
    )
    return Chunk(tuple(lines), row.start, row.size, row.first_seq, row.last_seq, row.ends)


def _removed(archived: asyncpg.Record) -> Chunk:
    first, last, ends = archived["first_seq"], archived["last_seq"], archived["ends"]
    return Chunk((), 0, 0, first, last, ends, removed=True)


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
