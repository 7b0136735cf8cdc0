"""Only a step's own time and its own failures count against its limits."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from stepway_tracking.record.errors import step_error
from stepway_tracking.record.facts import TIMEOUT_REMEDY
from stepway_tracking.worker import limits, loop_watch, recorded_attempt
from tests.support.servers import eventually
from tests.support.tracked import GATE, STEP, Tracker, locked
from tests.support.tracked_step import LONG, heartbeat_on, outcomes, step, until

SILENCE = 20.0
"""A heartbeat timeout that no step here exceeds."""


async def test_the_end_may_wait_for_longer_than_the_limit_times_the_attempts(
    tracker: Tracker,
) -> None:
    finish, runs = asyncio.Event(), list[int]()

    async def build() -> str:
        runs.append(activity.info().attempt)
        await finish.wait()
        return "made"

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(timeout=1.5, attempts=2, heartbeat=SILENCE)
        await until(record, status="running")
        async with locked(record):
            finish.set()
            # Nothing may happen in this time.
            await asyncio.sleep(2 * 1.5 + 1)
        assert await handle.result() == "made"
    assert runs == [1]
    assert await record.actions(STEP) == ["started", "completed"]


async def test_the_start_may_wait_for_longer_than_the_limit_times_the_attempts(
    tracker: Tracker,
) -> None:
    at_the_gate, opened = asyncio.Event(), asyncio.Event()

    @activity.defn(name=GATE)
    async def gate() -> None:
        at_the_gate.set()
        await opened.wait()

    async with tracker.worker(gate, step(lambda: "made")):
        handle, record = await tracker.start(gate=True, timeout=1, attempts=2, heartbeat=SILENCE)
        await asyncio.wait_for(at_the_gate.wait(), LONG)
        async with locked(record):
            opened.set()
            # Nothing may happen in this time.
            await asyncio.sleep(3)
        assert await handle.result() == "made"
    assert await record.actions(STEP) == ["started", "completed"]


async def test_a_step_that_exceeds_its_limit_uses_up_its_attempts(tracker: Tracker) -> None:
    async def hangs() -> None:
        await asyncio.sleep(LONG)

    async with tracker.worker(step(hangs)):
        handle, record = await tracker.start(timeout=0.5, attempts=2, heartbeat=SILENCE)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert (row["status"], row["attempt"]) == ("failed", 2)
    assert row["error"] == "The step exceeded its time limit of 0.5 s."
    assert row["metadata"]["remedy"] == TIMEOUT_REMEDY
    assert "in hangs" in row["error_stack"], "the stack says where the step was"
    assert await outcomes(record) == ["timed_out", "timed_out"]
    await record.check()


async def test_a_step_in_a_thread_is_cancelled_at_its_limit(tracker: Tracker) -> None:
    cancelled = threading.Event()

    @activity.defn(name=STEP)
    def build() -> None:
        try:
            while not activity.is_cancelled():
                time.sleep(0.02)
            time.sleep(LONG / 100)
        except CancelledError:
            cancelled.set()
            raise

    async with tracker.worker(build):
        handle, record = await tracker.start(timeout=0.5, attempts=1, heartbeat=SILENCE)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert cancelled.is_set()
    assert await outcomes(record) == ["timed_out"]


async def test_the_limit_does_not_run_while_a_step_waits_for_a_thread(tracker: Tracker) -> None:
    @activity.defn(name=STEP)
    def build() -> None:
        time.sleep(0.8)

    async with tracker.worker(build):
        # Twelve steps and eight threads: four wait for longer than the rest of their limit.
        runs = [await tracker.start(timeout=1.2, attempts=1, heartbeat=SILENCE) for _ in range(12)]
        for handle, record in runs:
            await handle.result()
            assert await outcomes(record) == ["completed"]


async def test_a_step_that_ignores_its_limit_is_given_up(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GRACE", 0.5)
    let_go = asyncio.Event()

    async def stubborn() -> str:
        while True:
            try:
                await asyncio.wait_for(let_go.wait(), LONG)
                return "late"
            except asyncio.CancelledError:
                continue

    async with tracker.worker(step(stubborn)):
        handle, record = await tracker.start(timeout=0.5, attempts=1, heartbeat=SILENCE)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        let_go.set()
    assert await outcomes(record) == ["timed_out"]
    assert (await record.step(STEP))["status"] == "failed"


async def test_a_step_that_ends_while_it_is_stopped_has_completed(tracker: Tracker) -> None:
    async def nearly_done() -> str:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
        return "made"

    async with tracker.worker(step(nearly_done)):
        handle, record = await tracker.start(timeout=0.5, attempts=1, heartbeat=SILENCE)
        assert await handle.result() == "made"
    assert await outcomes(record) == ["completed"]


async def test_a_heartbeat_may_be_as_short_as_a_tenth_of_a_second(tracker: Tracker) -> None:
    async def build() -> None:
        for _ in range(100):
            activity.heartbeat()
            await asyncio.sleep(0.02)

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(attempts=1, heartbeat=0.1)
        await handle.result()
    assert await outcomes(record) == ["completed"]


async def test_a_rolling_restart_uses_up_no_attempt(tracker: Tracker) -> None:
    runs: list[int] = []

    async def long() -> None:
        runs.append(activity.info().attempt)
        if len(runs) < 3:
            await heartbeat_on()

    handle, record = await tracker.start(attempts=1, heartbeat=SILENCE)
    for number in (1, 2):
        async with tracker.worker(step(long)):
            await until(record, status="running", attempt=number)
    async with tracker.worker(step(long)):
        await handle.result()
    assert await outcomes(record) == ["interrupted", "interrupted", "completed"]


async def test_failures_are_counted_without_the_interruptions_between_them(
    tracker: Tracker,
) -> None:
    runs: list[int] = []

    async def unlucky() -> None:
        runs.append(activity.info().attempt)
        if len(runs) == 2:
            await heartbeat_on()
        raise RuntimeError("no luck")

    handle, record = await tracker.start(attempts=2, heartbeat=SILENCE)
    async with tracker.worker(step(unlucky)):
        await until(record, status="running", attempt=2)
    async with tracker.worker(step(unlucky)):
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert await outcomes(record) == ["failed", "interrupted", "failed"]
    row = await record.step(STEP)
    assert (row["status"], row["error"]) == ("failed", "RuntimeError: no luck")


async def test_interruptions_have_a_bound_of_their_own_and_say_so(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_attempt, "MOST_LOSSES", 2)

    handle, record = await tracker.start(attempts=0, heartbeat=SILENCE)
    for number in (1, 2):
        async with tracker.worker(step(heartbeat_on)):
            await until(record, status="running", attempt=number)
    async with tracker.worker(step(heartbeat_on)):
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert row["status"] == "failed"
    assert row["error"].startswith("The step was interrupted 2 times: its worker stopped.")
    assert await outcomes(record) == ["interrupted", "interrupted", "failed"]


async def test_a_rate_limit_uses_up_no_attempt(tracker: Tracker) -> None:
    def busy() -> str:
        if activity.info().attempt < 4:
            raise step_error("The host is busy.", remedy="Wait.", retry_after=0.05)
        return "made"

    async with tracker.worker(step(busy)):
        handle, record = await tracker.start(attempts=1, heartbeat=SILENCE)
        assert await handle.result() == "made"
    assert await outcomes(record) == ["interrupted"] * 3 + ["completed"]
    assert (await record.attempts(STEP))[0]["error"] == "The host is busy."


async def test_a_step_that_blocks_the_event_loop_is_reported_and_costs_nobody_an_attempt(
    tracker: Tracker, caplog: pytest.LogCaptureFixture
) -> None:
    waiting, blocked = asyncio.Event(), asyncio.Event()

    async def build() -> str:
        if not waiting.is_set():
            waiting.set()
            await blocked.wait()
            return "innocent"
        time.sleep(12)  # noqa: ASYNC251 - as a careless step does
        blocked.set()
        return "careless"

    limited = {"timeout": 4, "attempts": 1, "heartbeat": 5.0}
    with caplog.at_level(logging.WARNING, loop_watch.__name__):
        async with tracker.worker(step(build)):
            innocent, others = await tracker.start(**limited)
            await asyncio.wait_for(waiting.wait(), LONG)
            careless, record = await tracker.start(**limited)
            assert await careless.result() == "careless"
            assert await innocent.result() == "innocent"
    assert await outcomes(others) == ["completed"]
    assert await outcomes(record) == ["completed"]
    text = "\n".join(line.getMessage() for line in caplog.records)
    assert "blocks the worker's event loop" in text and "time.sleep(12)" in text


async def test_the_watch_of_the_event_loop_ends_with_the_last_step(tracker: Tracker) -> None:
    def watching() -> list[str]:
        return [each.name for each in threading.enumerate() if each.name == "stepway-loop-watch"]

    seen: list[str] = []
    async with tracker.worker(step(lambda: seen.extend(watching()))):
        handle, _ = await tracker.start(heartbeat=SILENCE)
        await handle.result()
        assert seen

        async def gone() -> bool:
            return not watching()

        await eventually(gone)
