"""Each guard of a step's own time and result is needed: without it its scenario goes wrong.

A twin with the guard on shows that the scenario itself is sound.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway_tracking.postgres import open_pool
from stepway_tracking.record.changes import StepChange
from stepway_tracking.record.progress import Progress
from stepway_tracking.worker import attempt_writer, loop_watch, progress_reporter
from stepway_tracking.worker.progress_values import ProgressReader
from stepway_tracking.workflow import marks
from tests.faults.checks import OWN_ERRORS
from tests.support.databases import empty_database
from tests.support.record import Collected, Record, at
from tests.support.tracked import STEP, Tracker, locked
from tests.support.tracked_step import LONG, heartbeat_on, step, until

Scenario = Callable[[Tracker], Any]

SILENCE = 20.0
LIMIT, ATTEMPTS = 1.5, 2


@pytest.fixture
def tracker(temporal: Client, pool: asyncpg.Pool) -> Tracker:
    return Tracker(temporal, pool, Collected())


async def damage(
    handle: WorkflowHandle[Any, Any], record: Record, runs: Sequence[int] = ()
) -> list[str]:
    """Wait for the end; return what has gone wrong with a step that succeeds at its first run."""
    wrong = []
    try:
        await handle.result()
    except WorkflowFailureError:
        wrong.append("the workflow failed")
    if len(runs) > 1:
        wrong.append(f"the step ran {len(runs)} times")
    outcomes = [each["outcome"] for each in await record.attempts(STEP)]
    return wrong + [f"an attempt {each}" for each in outcomes if each in ("failed", "timed_out")]


async def outage_at_the_end(tracker: Tracker) -> list[str]:
    """Postgres is away for longer than all attempts may take when the step has done its work."""
    finish, runs = asyncio.Event(), list[int]()

    async def build() -> str:
        runs.append(activity.info().attempt)
        await finish.wait()
        return "made"

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(timeout=LIMIT, attempts=ATTEMPTS, heartbeat=SILENCE)
        await until(record, status="running")
        async with locked(record):
            finish.set()
            # Nothing may happen in this time, which is longer than all attempts may take.
            await asyncio.sleep(2 * LIMIT * ATTEMPTS)
        return await damage(handle, record, runs)


async def rolling_restart(tracker: Tracker) -> list[str]:
    """The worker of a step with a single attempt is replaced while the step runs."""
    runs: list[int] = []

    async def build() -> None:
        runs.append(activity.info().attempt)
        if len(runs) == 1:
            await heartbeat_on()

    handle, record = await tracker.start(attempts=1, heartbeat=SILENCE)
    async with tracker.worker(step(build)):
        await until(record, status="running")
    async with tracker.worker(step(build)):
        return await damage(handle, record)


async def blocked_loop(tracker: Tracker) -> list[str]:
    """Another step blocks the worker's event loop for longer than Temporal waits for a worker."""
    waiting, blocked, innocent = asyncio.Event(), asyncio.Event(), list[int]()

    async def build() -> None:
        if not waiting.is_set() or activity.info().attempt > 1:
            innocent.append(activity.info().attempt)
            waiting.set()
            await blocked.wait()
            # Temporal has time to report that it took the step for lost.
            await asyncio.sleep(1)
        else:
            time.sleep(12)  # noqa: ASYNC251 - as a careless step does
            blocked.set()

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(attempts=1, heartbeat=5.0)
        await asyncio.wait_for(waiting.wait(), LONG)
        careless, _ = await tracker.start(attempts=1, heartbeat=5.0)
        found = await damage(handle, record, innocent)
        await careless.result()
    return found


async def progress_in_fractions(tracker: Tracker) -> list[str]:
    """The last thing that the step reports is a percentage that Postgres refuses."""
    written, runs = asyncio.Event(), list[int]()

    async def build() -> None:
        runs.append(activity.info().attempt)
        activity.heartbeat(Progress(10))
        await written.wait()
        activity.heartbeat(Progress(100 * 2 / 7))  # type: ignore[arg-type]

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(attempts=2, heartbeat=SILENCE)
        await until(record, progress=10)
        written.set()
        return await damage(handle, record, runs)


def give_temporal_the_limits_of_the_step(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marks, "_give_limits_of_worker", lambda given, mark: None)


def count_lost_attempts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marks, "MOST_LOSSES", 0)
    patch.setattr(marks, "MOST_WAITS", 0)


async def _nothing(watch: loop_watch.LoopWatch) -> None:
    """Send no heartbeat."""


def let_the_loop_be_blocked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop_watch.LoopWatch, "_heartbeat", _nothing)


def take_progress_as_it_is(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ProgressReader, "read", lambda reader, given: given)
    patch.setattr(attempt_writer, "UNACCEPTABLE", ())


@pytest.mark.parametrize(
    ("remove", "scenario", "finds"),
    [
        (give_temporal_the_limits_of_the_step, outage_at_the_end, "the workflow failed"),
        (count_lost_attempts, rolling_restart, "the workflow failed"),
        (let_the_loop_be_blocked, blocked_loop, "the step ran "),
        (take_progress_as_it_is, progress_in_fractions, "the step ran 2 times"),
    ],
)
async def test_step_without_a_guard_pays_for_others_and_with_it_does_not(
    tracker: Tracker,
    monkeypatch: pytest.MonkeyPatch,
    remove: Callable[[pytest.MonkeyPatch], None],
    scenario: Scenario,
    finds: str,
) -> None:
    monkeypatch.setattr(progress_reporter, "INTERVAL", LONG)
    assert await scenario(tracker) == []
    remove(monkeypatch)
    found = await scenario(tracker)
    assert any(finds in fault for fault in found), found


async def failure_after_the_commit(pool: asyncpg.Pool) -> list[str]:
    """The workflow takes a completed step for failed: Temporal did not get its last answer."""
    record = await Record(pool).plan(a=1)
    attempt = record.attempt("a", 1)
    await attempt.say("started")
    await attempt.say("completed", result="e30=")
    change = StepChange("a", "failed", fence=at(2), error=OWN_ERRORS[0], change_id="failed")
    await record.store.update_step_status(record.project_id, change)
    return await record.actions("a")


async def test_completed_step_becomes_failed_without_the_rule_against_it(
    pool: asyncpg.Pool, servers: Settings
) -> None:
    assert await failure_after_the_commit(pool) == ["started", "completed"]
    async with empty_database(pool, servers.database_url) as url:
        given = servers.model_copy(update={"database_url": url})
        await upgrade_database(given.sqlalchemy_url)
        async with await open_pool(url) as other:
            await replace_in(
                other, "stepway_record_step_v3", "v_action = 'failed' AND", "false AND"
            )
            assert await failure_after_the_commit(other) == ["started", "completed", "failed"]


async def replace_in(pool: asyncpg.Pool, function: str, rule: str, other: str) -> None:
    """Change a rule of one of the record's functions."""
    code = await pool.fetchval("SELECT pg_get_functiondef($1::regproc)", function)
    assert code.count(rule) == 1
    await pool.execute(code.replace(rule, other))
