"""Logs of anyone's activities, while Postgres, Redis or the attempt itself is away."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import asyncpg
import pytest
from temporalio import activity
from temporalio.client import Client

from stepway.embedded.server import Server
from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway_tracking.logs import attempt_log
from stepway_tracking.logs.attempts import LoggedAttempt, LoggedAttempts
from stepway_tracking.logs.hub import LogHub
from stepway_tracking.logs.line import LogLine
from stepway_tracking.logs.printing import captured_output
from stepway_tracking.logs.store import LogStore
from stepway_tracking.logs.writer import RETRY_DELAY, LogWriter, open_logs
from stepway_tracking.postgres import open_pool
from stepway_tracking.stream.publisher import Publisher, open_redis
from tests.support.record import Collected, Record
from tests.support.servers import eventually
from tests.support.tracked import STEP, Tracker
from tests.support.tracked_step import outcomes, step


@pytest.fixture(scope="module")
async def away(servers: Settings) -> AsyncIterator[tuple[Server, asyncpg.Pool]]:
    """A Postgres that the tests of this module may kill and restart, and its pool."""
    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as folder:
        given = servers.model_copy(update={"data_dir": Path(folder) / "data", "database_url": ""})
        embedded = EmbeddedServers(given)
        async with embedded as settings:
            await upgrade_database(settings.sqlalchemy_url)
            async with await open_pool(settings.database_url) as pool:
                yield embedded["postgres"], pool


@pytest.fixture
async def writer(away: tuple[Server, asyncpg.Pool], servers: Settings) -> AsyncIterator[LogWriter]:
    redis = open_redis(servers.redis_url)
    publisher = Publisher(redis)
    async with open_logs(away[1], publisher, lambda value: value) as logs:
        yield logs
    await publisher.close()
    await redis.aclose()


@pytest.fixture
def tracker(temporal: Client, away: tuple[Server, asyncpg.Pool], writer: LogWriter) -> Tracker:
    return Tracker(temporal, away[1], Collected(), logs=writer)


async def lines(pool: asyncpg.Pool, found: LoggedAttempt) -> list[LogLine]:
    rows = await LogStore(pool).read(found.key, 0, 100_000, 2**30)
    return [line for row in rows for line in row.lines]


async def attempt_of(record: Record, number: int | None = None) -> LoggedAttempt:
    found = await LoggedAttempts(record.pool).find(UUID(record.project_id), STEP, None, number)
    assert found is not None
    return found


async def test_an_outage_of_postgres_leaves_a_counted_gap_and_does_not_slow_the_step(
    tracker: Tracker, away: tuple[Server, asyncpg.Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres, pool = away
    monkeypatch.setattr(attempt_log, "MOST_WAITING", 20_000)
    began, goes_on, logged, last = (asyncio.Event() for _ in range(4))

    async def build() -> None:
        activity.logger.info("before")
        began.set()
        await goes_on.wait()
        for number in range(2_000):
            activity.logger.info("during %s", number)
        logged.set()
        await last.wait()
        activity.logger.info("after")

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(timeout=120)
        await began.wait()
        await eventually(lambda: _has_lines(pool, record, 1))
        hub = LogHub(LogStore(pool), LoggedAttempts(pool).outcome)
        reader = asyncio.create_task(_follow(hub, await attempt_of(record)))
        await postgres.kill()
        try:
            goes_on.set()
            # Nothing waits for Postgres.
            await asyncio.wait_for(logged.wait(), 60)
            await asyncio.sleep(2 * RETRY_DELAY)
        finally:
            await postgres.start()
        await eventually(lambda: _has_lines(pool, record, 100))
        last.set()
        await handle.result()
        await eventually(lambda: _ends_with(pool, record, "after"))
    found = await lines(pool, await attempt_of(record))
    assert await outcomes(record) == ["completed"]
    assert found[0].text == "before"
    assert [line.text for line in found[-2:]] == ["during 1999", "after"]
    assert found[-1].seq == 2_002
    assert 100 < len(found) < 1_000
    kept = [line.seq for line in found]
    assert [line.text for line in found[:3]] == ["before", "during 0", "during 1"]
    assert sum(b > a + 1 for a, b in pairwise(kept)) == 1
    # A reader has waited for Postgres too.
    assert await asyncio.wait_for(reader, 60) == kept
    await hub.close()


async def test_late_lines_of_a_superseded_attempt_stay_under_it(
    tracker: Tracker, writer: LogWriter
) -> None:
    async def build() -> None:
        activity.logger.info("attempt %s", activity.info().attempt)
        if activity.info().attempt == 1:
            raise ValueError("once")

    async with tracker.worker(step(build)):
        handle, record = await tracker.start()
        await handle.result()
        first, second = await attempt_of(record, 1), await attempt_of(record, 2)
        # As the log of a worker that was frozen and goes on.
        late = writer.open(first.key)
        late._seq = 10
        late.log("info", "late")
        late.close()
        await eventually(lambda: _ends_with(tracker.pool, record, "late", 1))
    assert [line.text for line in await lines(tracker.pool, first)] == ["attempt 1", "late"]
    assert [line.text for line in await lines(tracker.pool, second)] == ["attempt 2"]
    assert (first.outcome, second.outcome) == ("failed", "completed")


async def test_loggers_outside_of_attempts_and_of_others_stay_outside(
    tracker: Tracker, writer: LogWriter
) -> None:
    other = logging.getLogger("acme")

    async def build() -> None:
        activity.logger.warning("inside")

    async with tracker.worker(step(build)):
        other.warning("outside")
        handle, record = await tracker.start()
        await handle.result()
        other.warning("outside")
        await eventually(lambda: _ends_with(tracker.pool, record, "inside"))
    found = await lines(tracker.pool, await attempt_of(record))
    assert [(line.level, line.text) for line in found] == [("warning", "inside")]


async def test_threads_log_to_the_step_if_they_run_in_its_context(tracker: Tracker) -> None:
    def say(text: str) -> None:
        logging.getLogger("acme").warning(text)
        with captured_output():
            print(text)

    async def build() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(say, "to_thread")
        with ThreadPoolExecutor(1) as pool:
            # The documented rest: without the context, a thread does not know its step.
            pool.submit(say, "lost").result()
            pool.submit(copy_context().run, say, "submit").result()
        await loop.run_in_executor(None, say, "lost")
        await loop.run_in_executor(None, copy_context().run, say, "run_in_executor")
        for target, arguments in ((say, ("lost",)), (copy_context().run, (say, "Thread"))):
            thread = threading.Thread(target=target, args=arguments)
            thread.start()
            await asyncio.to_thread(thread.join)
        activity.logger.warning("end")

    async with tracker.worker(step(build)):
        handle, record = await tracker.start()
        await handle.result()
        await eventually(lambda: _ends_with(tracker.pool, record, "end"))
    found = [
        (line.stream, line.text) for line in await lines(tracker.pool, await attempt_of(record))
    ]
    told = ("to_thread", "submit", "run_in_executor", "Thread")
    assert found == [
        *((stream, text) for text in told for stream in ("log", "stdout")),
        ("log", "end"),
    ]


async def _follow(hub: LogHub, found: LoggedAttempt) -> list[int]:
    async with hub.follow(found.key, 0) as rows:
        return [line.seq async for row in rows for line in row.lines]


async def _has_lines(pool: asyncpg.Pool, record: Record, number: int) -> bool:
    try:
        return len(await lines(pool, await attempt_of(record))) >= number
    except (OSError, asyncpg.PostgresError):
        return False


async def _ends_with(
    pool: asyncpg.Pool, record: Record, text: str, attempt: int | None = None
) -> bool:
    found = await lines(pool, await attempt_of(record, attempt))
    return bool(found) and found[-1].text == text
