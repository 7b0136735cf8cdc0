"""From a step's heartbeats to its row and to Redis, on real servers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator

import asyncpg
import pytest
from redis.asyncio import Redis
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError

from stepway.runtime.settings import Settings
from stepway_tracking.record.progress import Progress, SubStep
from stepway_tracking.stream.publisher import Publisher, channel, open_redis
from tests.support.servers import eventually
from tests.support.tracked import GATE, STEP, Tracker
from tests.support.tracked_step import LONG, step, until

SOON = 2.0
"""Seconds; the goal is half a second, but a busy machine may take longer."""


@pytest.fixture
async def redis(servers: Settings) -> AsyncIterator[Redis]:
    async with open_redis(servers.redis_url) as redis:
        yield redis


@pytest.fixture
def tracker(temporal: Client, pool: asyncpg.Pool, redis: Redis) -> Tracker:
    return Tracker(temporal, pool, Publisher(redis))


async def test_progress_reaches_the_row_and_redis_at_once(tracker: Tracker, redis: Redis) -> None:
    said, seen = asyncio.Event(), asyncio.Event()

    @activity.defn(name=GATE)
    async def listening() -> None:
        await said.wait()

    async def build() -> None:
        activity.heartbeat(Progress(40, "compiling"))
        await seen.wait()

    async with tracker.worker(listening, step(build)), redis.pubsub() as subscription:
        handle, record = await tracker.start(gate=True)
        await subscription.subscribe(channel(record.project_id))
        await subscription.get_message(timeout=SOON)
        said.set()
        await until(record, status="running")

        async def told() -> bool:
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=0)
            step = json.loads(message["data"])["data"].get("step", {}) if message else {}
            return bool(step.get("progress") == 40)

        async def written() -> bool:
            row = await record.step(STEP)
            return (row["progress"], row["message"]) == (40, "compiling")

        await eventually(told, SOON)
        await eventually(written, SOON)
        assert (await record.project())["progress"] == 40
        seen.set()
        await handle.result()


async def test_a_flood_of_progress_is_a_few_writes_and_the_newest_is_among_them(
    tracker: Tracker,
) -> None:
    async def build() -> None:
        for number in range(500):
            activity.heartbeat(Progress(number // 10, f"file {number}"))
            if number % 100 == 0:
                await asyncio.sleep(0.05)
        raise RuntimeError("at the very end")

    async with tracker.worker(step(build)):
        handle, record = await tracker.start(attempts=1)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    row = await record.step(STEP)
    assert (row["progress"], row["message"], row["status"]) == (49, "file 499", "failed")
    actions = await record.actions(STEP)
    assert actions[-2:] == ["progressed", "failed"] and len(actions) < 10
    await record.check()


async def test_progress_from_a_thread_has_its_parts_in_order(tracker: Tracker) -> None:
    @activity.defn(name=STEP)
    def build() -> None:
        for number, name in enumerate(("fetch", "compile", "link")):
            for percent in (0, 50, 100):
                part = SubStep(name, name.title(), percent)
                activity.heartbeat(Progress(number * 30, name, part))

    async with tracker.worker(build):
        handle, record = await tracker.start()
        await handle.result()
    steps = [event["step"] for event in await record.events() if event["action"] == "started"]
    assert steps == [STEP, f"{STEP}.fetch", f"{STEP}.compile", f"{STEP}.link"]
    for name in ("fetch", "compile", "link"):
        row = await record.step(f"{STEP}.{name}")
        assert (row["status"], row["parent_step"], row["weight"]) == ("completed", STEP, 0)
    await record.check()


async def test_parts_of_a_failed_attempt_are_ahead_again_and_the_whole_stays(
    tracker: Tracker,
) -> None:
    async def build() -> None:
        activity.heartbeat(Progress(60, "", SubStep("fetch", "Fetch", 60)))
        if activity.info().attempt == 1:
            raise RuntimeError("no luck")

    async with tracker.worker(step(build)):
        handle, record = await tracker.start()
        await handle.result()
    whole = [event["payload"]["progress"] for event in await record.events() if event["step"]]
    assert whole == sorted(whole)
    part = await record.actions(f"{STEP}.fetch")
    assert part == ["started", "reset", "started", "completed"]
    await record.check()


async def test_heartbeats_that_are_no_progress_are_left_to_temporal(tracker: Tracker) -> None:
    cursors: list[list[object]] = []

    async def build() -> None:
        cursors.append(list(activity.info().heartbeat_details))
        activity.heartbeat("cursor", 7)
        if activity.info().attempt == 1:
            raise RuntimeError("no luck")

    async with tracker.worker(step(build)):
        handle, record = await tracker.start()
        await handle.result()
    assert cursors == [[], ["cursor", 7]]
    assert "progressed" not in await record.actions()


async def test_without_redis_steps_go_on(tracker: Tracker) -> None:
    async with open_redis("redis://127.0.0.1:1/0") as gone:
        deaf = Tracker(tracker.client, tracker.pool, Publisher(gone))
        async with deaf.worker(step(lambda: activity.heartbeat(Progress(10)))):
            handle, record = await deaf.start()
            await handle.result()
    assert (await record.step(STEP))["status"] == "completed"


async def test_a_step_that_blocks_its_thread_does_not_hold_its_progress_back(
    tracker: Tracker,
) -> None:
    let_go = threading.Event()

    @activity.defn(name=STEP)
    def build() -> None:
        activity.heartbeat(Progress(30, "waiting"))
        let_go.wait(LONG)

    async with tracker.worker(build):
        handle, record = await tracker.start()
        await until(record, progress=30)
        let_go.set()
        await handle.result()
