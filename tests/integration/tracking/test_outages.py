"""Outages of Postgres during a step: the changes are recorded when it is back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from stepway.embedded.server import Server
from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway_tracking.postgres import open_pool
from stepway_tracking.record.progress import Progress
from tests.support.record import Collected, Record
from tests.support.servers import eventually
from tests.support.tracked import GATE, STEP, Tracker
from tests.support.tracked_step import LONG, heartbeat_on, outcomes, step, until

HEARTBEAT = 3.0
"""Heartbeat timeout in seconds; outages last longer."""


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
def postgres(away: tuple[Server, asyncpg.Pool]) -> Server:
    return away[0]


@pytest.fixture
def tracker(temporal: Client, away: tuple[Server, asyncpg.Pool]) -> Tracker:
    return Tracker(temporal, away[1], Collected())


class HearsCancel(Interceptor):
    """Notes when the worker has received the cancellation."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Listening(next, self.heard)


class _Listening(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, heard: asyncio.Event) -> None:
        super().__init__(next)
        self._heard = heard

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        listening = asyncio.create_task(self._listen())
        try:
            return await super().execute_activity(input)
        finally:
            listening.cancel()

    async def _listen(self) -> None:
        await eventually(lambda: asyncio.sleep(0, activity.is_cancelled()))
        self._heard.set()


Finish = Callable[[], None]


def in_the_loop() -> tuple[Callable[..., Any], Finish, list[int]]:
    """Return a step on the event loop, a function that lets it finish, and its runs."""
    finish, runs = asyncio.Event(), list[int]()

    async def build() -> str:
        runs.append(activity.info().attempt)
        activity.heartbeat(Progress(50, "half"))
        await finish.wait()
        return "made"

    return step(build), finish.set, runs


def in_a_thread() -> tuple[Callable[..., Any], Finish, list[int]]:
    """The same step in a thread."""
    finish, runs = threading.Event(), list[int]()

    @activity.defn(name=STEP)
    def build() -> str:
        runs.append(activity.info().attempt)
        activity.heartbeat(Progress(50, "half"))
        finish.wait(LONG)
        return "made"

    return build, finish.set, runs


@pytest.mark.parametrize("kind", [in_the_loop, in_a_thread])
async def test_a_step_that_finishes_during_an_outage_is_run_once_and_recorded_after_it(
    tracker: Tracker, temporal: Client, postgres: Server, kind: Callable[[], Any]
) -> None:
    build, finish, runs = kind()
    async with tracker.worker(build):
        handle, record = await tracker.start(heartbeat=HEARTBEAT)
        await until(record, status="running", progress=50)
        await postgres.kill()
        try:
            finish()
            # Longer than the heartbeat timeout: only the waiting write sends heartbeats.
            with suppress(TimeoutError):
                await asyncio.wait_for(handle.result(), HEARTBEAT * 1.5)
            pending = (await handle.describe()).raw_description.pending_activities
            assert [each.attempt for each in pending] == [1]
            assert b"half" in pending[0].heartbeat_details.payloads[0].data
        finally:
            await postgres.start()
        assert await handle.result() == "made"
    assert runs == [1]
    assert (await record.step(STEP))["status"] == "completed"
    assert await outcomes(record) == ["completed"]
    await record.check()


async def test_a_step_whose_start_cannot_be_written_does_not_start(
    tracker: Tracker, postgres: Server
) -> None:
    at_the_gate, opened = asyncio.Event(), asyncio.Event()
    build, finish, runs = in_the_loop()
    finish()

    @activity.defn(name=GATE)
    async def gate() -> None:
        at_the_gate.set()
        await opened.wait()

    async with tracker.worker(gate, build):
        handle, record = await tracker.start(gate=True, heartbeat=HEARTBEAT)
        await asyncio.wait_for(at_the_gate.wait(), LONG)
        await postgres.kill()
        try:
            opened.set()

            async def taken() -> bool:
                pending = (await handle.describe()).raw_description.pending_activities
                return any(each.activity_type.name == STEP for each in pending)

            await eventually(taken)
            with suppress(TimeoutError):
                await asyncio.wait_for(handle.result(), HEARTBEAT)
            assert runs == []
        finally:
            await postgres.start()
        assert await handle.result() == "made"
    assert runs == [1]
    await record.check()


async def test_a_cancel_during_an_outage_ends_the_wait_and_the_step(
    tracker: Tracker, postgres: Server
) -> None:
    build, finish, _ = in_the_loop()
    async with tracker.worker(build):
        handle, record = await tracker.start()
        await until(record, status="running", progress=50)
        await postgres.kill()
        try:
            finish()
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as cancelled:
                await handle.result()
        finally:
            await postgres.start()
    assert isinstance(cancelled.value.cause, CancelledError)
    assert await outcomes(record) == [None]


@pytest.mark.parametrize("kind", [in_the_loop, in_a_thread])
async def test_a_step_that_is_cancelled_while_its_end_is_written_has_completed(
    tracker: Tracker, away: tuple[Server, asyncpg.Pool], kind: Callable[[], Any]
) -> None:
    build, finish, _ = kind()
    listener = HearsCancel()
    async with tracker.worker(build, outside=[listener]):
        handle, record = await tracker.start(heartbeat=HEARTBEAT)
        await until(record, status="running", progress=50)
        async with away[1].acquire() as other, other.transaction():
            await other.execute(
                "SELECT 1 FROM projects WHERE id = $1 FOR UPDATE", record.project_id
            )
            finish()
            await waits_for_the_lock(record)
            await handle.cancel()
            await asyncio.wait_for(listener.heard.wait(), LONG)
        assert await handle.result() == "made"
    assert (await record.step(STEP))["status"] == "completed"
    assert await outcomes(record) == ["completed"]


@pytest.mark.parametrize("kind", [in_the_loop, in_a_thread])
async def test_a_step_that_is_cancelled_while_its_start_is_written_does_not_start(
    tracker: Tracker, away: tuple[Server, asyncpg.Pool], kind: Callable[[], Any]
) -> None:
    build, finish, runs = kind()
    finish()
    at_the_gate, opened = asyncio.Event(), asyncio.Event()

    @activity.defn(name=GATE)
    async def gate() -> None:
        at_the_gate.set()
        await opened.wait()

    listener = HearsCancel()
    async with tracker.worker(gate, build, outside=[listener]):
        handle, record = await tracker.start(gate=True, heartbeat=HEARTBEAT)
        await asyncio.wait_for(at_the_gate.wait(), LONG)
        async with away[1].acquire() as other, other.transaction():
            await other.execute(
                "SELECT 1 FROM projects WHERE id = $1 FOR UPDATE", record.project_id
            )
            opened.set()
            await waits_for_the_lock(record)
            await handle.cancel()
            await asyncio.wait_for(listener.heard.wait(), LONG)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert runs == []
    assert await record.actions(STEP) == ["started", "interrupted"]
    assert await outcomes(record) == ["cancelled"]


async def waits_for_the_lock(record: Record) -> None:
    """Return once a write of this test waits for the project's row."""

    async def waits() -> int:
        return int(
            await record.pool.fetchval(
                """SELECT count(*) FROM pg_stat_activity
                   WHERE wait_event_type = 'Lock' AND query LIKE '%stepway_record%'"""
            )
        )

    await eventually(waits)


async def test_a_worker_that_shuts_down_during_an_outage_is_not_held_up(
    tracker: Tracker, postgres: Server
) -> None:
    async with tracker.worker(step(heartbeat_on)):
        handle, record = await tracker.start()
        await until(record, status="running")
        await postgres.kill()
        stopping = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping < LONG / 2
    await postgres.start()
    await handle.terminate()
    assert await outcomes(record) == [None]


async def test_a_step_that_finishes_while_the_functions_are_replaced_is_recorded_after_it(
    tracker: Tracker, away: tuple[Server, asyncpg.Pool], caplog: pytest.LogCaptureFixture
) -> None:
    pool, finish, runs = away[1], asyncio.Event(), list[int]()

    async def build() -> str:
        runs.append(activity.info().attempt)
        await finish.wait()
        return "made"

    async def refused() -> bool:
        return "UndefinedFunctionError" in caplog.text

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(attempts=1, heartbeat=LONG)
        await until(record, status="running")
        await pool.execute("ALTER FUNCTION stepway_record_v3 RENAME TO moved")
        try:
            finish.set()
            await eventually(refused)
        finally:
            await pool.execute("ALTER FUNCTION moved RENAME TO stepway_record_v3")
        assert await handle.result() == "made"
    assert runs == [1]
    assert await record.actions(STEP) == ["started", "completed"]
