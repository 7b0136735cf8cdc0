"""Logs in Postgres: written in batches, trimmed, removed by age and with their project."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from stepway.api.log_formats import LogReader
from stepway.embedded.servers import EmbeddedServers
from stepway.runtime.settings import Settings
from stepway_tracking.logs.attempt_log import ALL_WAITING, AttemptKey, Batch
from stepway_tracking.logs.hub import LogHub
from stepway_tracking.logs.kept import LogLimits
from stepway_tracking.logs.line import LogLine
from stepway_tracking.logs.store import Chunk, LogStore
from stepway_tracking.logs.writer import LINES_LOST, ROW, LogWriter, open_logs
from stepway_tracking.stream.publisher import Publisher, open_redis
from tests.support.servers import eventually

LINE = "x" * 1000


@pytest.fixture
async def key(pool: asyncpg.Pool) -> AsyncIterator[AttemptKey]:
    """A key of a project that exists."""
    project = uuid4()
    await pool.execute(
        "INSERT INTO projects (id, name, owner, blueprint, workflow_id)"
        " VALUES ($1, $2, 'o', 'b', 'w')",
        project,
        f"log-{project.hex[:12]}",
    )
    yield AttemptKey(str(project), "step", "run", "1", 1)
    await pool.execute("DELETE FROM projects WHERE id = $1", project)


def writer_of(store: LogStore, limits: LogLimits | None = None) -> LogWriter:
    return LogWriter(store, lambda value: value, lambda key, seq: None, limits)


async def write(writer: LogWriter, key: AttemptKey, lines: int, text: str = LINE) -> None:
    """Log the lines in pieces that the writer can take, and wait until all are written."""
    log = writer.open(key)
    for number in range(lines):
        log.log("info", text)
        if number % 2000 == 1999:
            await eventually(lambda: _is_empty(log))
    log.close()
    await eventually(lambda: _is_done(writer))


async def _is_empty(log: object) -> bool:
    return bool(log.is_empty)  # type: ignore[attr-defined]


async def _is_done(writer: LogWriter) -> bool:
    return writer.is_idle


async def seqs(store: LogStore, key: AttemptKey) -> list[int]:
    found: list[int] = []
    while rows := await store.read(key, found[-1] if found else 0, 100):
        found += [line.seq for row in rows for line in row.lines if line.seq > (found or [0])[-1]]
        if rows[-1].ends:
            break
    return found


async def test_lines_of_many_attempts_are_kept_in_order(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    store = LogStore(pool)
    writer = writer_of(store)
    keys = [AttemptKey(key.project_id, f"step-{n}", "run", "1", 1) for n in range(20)]
    await asyncio.gather(*(write(writer, each, 300, "short") for each in keys))
    for each in keys:
        assert await seqs(store, each) == list(range(1, 301))
    await writer.close()


async def test_the_middle_of_a_long_log_is_left_out(pool: asyncpg.Pool, key: AttemptKey) -> None:
    store = LogStore(pool)
    limits = LogLimits(head=2_000_000, tail=1_000_000)
    writer = writer_of(store, limits)
    await write(writer, key, 10_000)
    kept = await seqs(store, key)
    size = await store.size(key.project_id)
    assert limits.head + limits.tail - ROW <= size <= limits.head + 3 * limits.tail
    assert kept[:1000] == list(range(1, 1001))
    assert kept[-500:] == list(range(9_501, 10_001))
    rows = await store.read(key, 0, 1000, 2**30)
    gaps = [(a, b) for a, b in pairwise(rows) if b.start > a.start + a.size]
    assert len(gaps) == 1
    before, after = gaps[0]
    left_out = after.lines[0].seq - before.lines[-1].seq - 1
    assert after.start - before.start - before.size == left_out * len(LINE)
    await writer.close()


async def test_a_project_with_too_much_keeps_the_ends_only(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    store = LogStore(pool)
    limits = LogLimits(head=2_000_000, tail=1_000_000, project=1_000_000, small=100_000)
    await write(first := writer_of(store, limits), key, 2_000)
    other = AttemptKey(key.project_id, "other", "run", "1", 1)
    await write(second := writer_of(store, limits), other, 2_000)
    assert (await seqs(store, key))[0] == 1
    kept = await seqs(store, other)
    assert kept[-1] == 2_000
    assert len(kept) <= 2 * (limits.small + ROW) / len(LINE)
    await first.close()
    await second.close()


async def test_lines_are_gone_with_their_project(pool: asyncpg.Pool, key: AttemptKey) -> None:
    store = LogStore(pool)
    await write(writer := writer_of(store), key, 10)
    await pool.execute("DELETE FROM projects WHERE id = $1", UUID(key.project_id))
    assert await seqs(store, key) == []
    # An attempt that still runs fails nobody.
    other = AttemptKey(key.project_id, "step", "run", "1", 2)
    await write(writer, other, 10)
    assert await seqs(store, other) == []
    await writer.close()


async def test_lines_that_are_written_during_the_deletion_are_gone_too(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    store = LogStore(pool)
    line = LogLine(1, datetime.now(UTC), "info", "log", "late")
    project = UUID(key.project_id)
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("DELETE FROM projects WHERE id = $1", project)
            writing = asyncio.create_task(store.write([Batch(key, (line,), 0, 1)]))
            await eventually(lambda: _waits_for(pool, connection, writing))
        await writing
    count = "SELECT count(*) FROM project_initialization_logs WHERE project_id = $1"
    assert await pool.fetchval(count, project) == 0


async def _waits_for(
    pool: asyncpg.Pool, connection: asyncpg.Connection, writing: asyncio.Task[None]
) -> bool:
    """Whether the write waits for this connection, or has ended without."""
    blocked = "SELECT EXISTS (SELECT FROM pg_locks WHERE $1 = ANY(pg_blocking_pids(pid)))"
    pid = connection.get_server_pid()
    return writing.done() or bool(await pool.fetchval(blocked, pid))


async def test_old_days_are_removed_and_new_ones_prepared(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    store = LogStore(pool)
    today = datetime.now(UTC).replace(hour=12)
    days = [today - timedelta(days=days) for days in (40, 31, 30, 0)]
    for day in days[:2]:
        await pool.execute("SELECT stepway_add_logs_partition_v1($1::date)", day.date())
    for number, day in enumerate(days):
        await pool.execute(
            "INSERT INTO project_initialization_logs"
            " VALUES ($1, 'step', 'run', '1', $2, false, 1, 1, 0, 1, $3, $4, false)",
            UUID(key.project_id),
            number,
            day,
            '[[0,1,"info","log","a"]]',
        )
    assert await store.keep(None) == 0
    assert await store.keep(30) == 2
    kept = [
        n for n in range(4) if await seqs(store, AttemptKey(key.project_id, "step", "run", "1", n))
    ]
    assert kept == [2, 3]
    tomorrow = (today + timedelta(days=1)).strftime("%Y%m%d")
    partition = f"project_initialization_logs_{tomorrow}"
    assert await pool.fetchval("SELECT to_regclass($1) IS NOT NULL", partition)


async def test_a_reader_that_holds_old_days_up_does_not_hold_up_new_ones(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    store = LogStore(pool)
    old = datetime.now(UTC) - timedelta(days=60)
    new = datetime.now(UTC) + timedelta(days=3)
    names = {f"project_initialization_logs_{day:%Y%m%d}": day for day in (old, new)}
    await pool.execute("SELECT stepway_add_logs_partition_v1($1::date)", old.date())
    await pool.execute(f"DROP TABLE IF EXISTS project_initialization_logs_{new:%Y%m%d}")

    async def there() -> list[bool]:
        exists = "SELECT to_regclass($1) IS NOT NULL"
        return [await pool.fetchval(exists, name) for name in names]

    async with pool.acquire() as connection, connection.transaction():
        # Of the old day only: adding a day needs the table's lock too.
        await connection.execute(f"SELECT FROM project_initialization_logs_{old:%Y%m%d}")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await store.keep(55)
        assert await there() == [True, True]
    assert await store.keep(55) == 1
    assert await there() == [False, True]


async def test_many_readers_of_one_log_share_the_reads(
    pool: asyncpg.Pool, key: AttemptKey, servers: Settings
) -> None:
    counted = CountedStore(pool)
    ended: list[str] = []
    seen: list[int] = []

    async def outcome(key: AttemptKey) -> str | None:
        return ended[0] if ended else None

    hub = LogHub(counted, outcome)
    writer = writer_of(LogStore(pool))
    log = writer.open(key)
    log.log("info", "first")
    await eventually(lambda: _is_empty(log))

    async def follow() -> list[int]:
        found: list[int] = []
        async with hub.follow(key, 0) as rows:
            async for row in rows:
                found += [line.seq for line in row.lines]
                seen.append(row.last_seq)
        return found

    async def all_have_begun() -> bool:
        return len(seen) >= 50

    readers = [asyncio.create_task(follow()) for _ in range(50)]
    await eventually(all_have_begun)
    reads = counted.reads
    for _ in range(100):
        log.log("info", "more")
        await asyncio.sleep(0.01)
    log.close()
    await eventually(lambda: _is_done(writer))
    ended.append("completed")
    for reader in readers:
        assert await reader == list(range(1, 102))
    # A few reads for each row, whatever the number of readers.
    assert counted.reads - reads < 10 * len(await LogStore(pool).read(key, 0))
    await hub.close()
    await writer.close()


async def test_a_closed_hub_ends_the_readers_that_are_there_and_those_that_come(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    async def outcome(key: AttemptKey) -> None:
        return None

    store = LogStore(pool)
    hub = LogHub(store, outcome)
    writer = writer_of(store)
    await write(writer, key, 3, "short")
    seen: list[int] = []

    async def follow() -> list[int]:
        async with hub.follow(key, 0) as rows:
            async for row in rows:
                seen.extend(line.seq for line in row.lines)
        return seen

    async def has_all() -> bool:
        return seen == [1, 2, 3]

    reader = asyncio.create_task(follow())
    await eventually(has_all)
    await hub.close()
    assert await asyncio.wait_for(reader, 10) == [1, 2, 3]
    seen.clear()
    assert await asyncio.wait_for(follow(), 10) == [1, 2, 3]
    await hub.close()
    await writer.close()


async def test_a_write_whose_answer_was_lost_is_repeated_without_harm(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    class Deaf(LogStore):
        """Hears no answer to its first write."""

        answers = 0

        async def write(self, batches: Sequence[Batch]) -> None:
            await super().write(batches)
            self.answers += 1
            if self.answers == 1:
                raise TimeoutError

    store, lost = Deaf(pool), LINES_LOST._value.get()
    await write(writer := writer_of(store), key, 10, "short")
    assert store.answers > 1
    assert LINES_LOST._value.get() == lost
    assert await seqs(store, key) == list(range(1, 11))
    await writer.close()


async def test_a_row_that_postgres_refuses_does_not_hold_up_the_others(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    class Picky(LogStore):
        async def write(self, batches: Sequence[Batch]) -> None:
            if any("bad" in line.text for batch in batches for line in batch.lines):
                raise asyncpg.DataError("a value that no column takes")
            await super().write(batches)

    store = Picky(pool)
    writer = writer_of(store)
    other = AttemptKey(key.project_id, "other", "run", "1", 1)
    lost = LINES_LOST._value.get()
    await asyncio.gather(write(writer, key, 10, "bad"), write(writer, other, 10, "good"))
    assert await seqs(store, other) == list(range(1, 11))
    assert LINES_LOST._value.get() == lost + 10
    await writer.close()


async def test_logs_of_many_attempts_share_a_bound_of_memory(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    writer = writer_of(LogStore(pool))
    logs = [writer.open(AttemptKey(key.project_id, f"step-{n}", "run", "1", 1)) for n in range(200)]
    for _ in range(2_000):
        logs[0].log("info", LINE)
    batch = logs[0].take(10**9)
    assert batch is not None and logs[0].dropped
    assert batch.size < ALL_WAITING / 200
    await writer.close()


async def test_a_log_is_followed_while_redis_is_away(
    pool: asyncpg.Pool, key: AttemptKey, servers: Settings
) -> None:
    outcomes: list[str] = []

    async def outcome(key: AttemptKey) -> str | None:
        return outcomes[0] if outcomes else None

    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as folder:
        given = servers.model_copy(update={"data_dir": Path(folder) / "data", "redis_url": ""})
        embedded = EmbeddedServers(given)
        async with embedded as settings, open_redis(settings.redis_url) as redis:
            publisher = Publisher(redis)
            store = LogStore(pool)
            hub = LogHub(store, outcome, settings.redis_url)
            hub.start()
            seen: list[int] = []

            async def follow() -> None:
                async with hub.follow(key, 0) as rows:
                    async for row in rows:
                        seen.extend(line.seq for line in row.lines)

            async def has(count: int) -> bool:
                return len(seen) == count

            async with open_logs(pool, publisher, lambda value: value) as writer:
                log = writer.open(key)
                reader = asyncio.create_task(follow())
                log.log("info", "with Redis")
                await eventually(lambda: has(1))
                await embedded["valkey"].kill()
                log.log("info", "without")
                await eventually(lambda: has(2))
                await embedded["valkey"].start()
                log.log("info", "with Redis again")
                log.close()
                outcomes.append("completed")
                await asyncio.wait_for(reader, 60)
            assert seen == [1, 2, 3]
            await hub.close()
            await publisher.close()


async def test_a_reader_is_told_of_lines_that_retention_removes_meanwhile(
    pool: asyncpg.Pool, key: AttemptKey
) -> None:
    async def outcome(key: AttemptKey) -> str:
        return "completed"

    store = LogStore(pool)
    old = datetime.now(UTC) - timedelta(days=50)
    await pool.execute("SELECT stepway_add_logs_partition_v1($1::date)", old.date())
    await write(writer := writer_of(store), key, 3_000)
    await pool.execute(
        "UPDATE project_initialization_logs SET at = $2 WHERE project_id = $1 AND last_seq < 2500",
        UUID(key.project_id),
        old,
    )
    hub = LogHub(store, outcome)
    reader = LogReader(0, 0)
    items: list[dict[str, Any]] = []
    removed = 0
    async with hub.follow(key, 0) as rows:
        async for row in rows:
            text = reader.encoded(row, "application/x-ndjson").decode()
            items += [json.loads(line) for line in text.splitlines()]
            if not removed:
                removed = await store.keep(40)
    assert removed == 1
    gaps = [item["gap"] for item in items if "gap" in item]
    seen = [item["seq"] for item in items if "gap" not in item]
    assert len(gaps) == 1 and gaps[0]["lines"] > 0
    missing = set(range(1, 3_001)) - set(seen)
    assert missing == set(range(gaps[0]["after"] + 1, gaps[0]["before"]))
    assert seen[-1] == 3_000 and reader.complete
    await hub.close()
    await writer.close()


class CountedStore(LogStore):
    """Counts its reads."""

    reads = 0

    async def read(
        self, key: AttemptKey, after: int, rows: int = 256, size: int = 2**20
    ) -> list[Chunk]:
        self.reads += 1
        return await super().read(key, after, rows, size)
