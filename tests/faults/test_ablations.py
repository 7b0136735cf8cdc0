"""Each guard is needed: without it the very scenario that it is for goes wrong.

A twin with the guard on shows that the scenario itself is sound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from stepway.runtime.settings import Settings
from stepway_tracking.queries.reader import Reader
from stepway_tracking.record.changes import Changes, ProjectChange, StepChange
from stepway_tracking.record.store import Outcome, Store
from stepway_tracking.stream.hub import Hub
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.publisher import Publisher, open_redis
from tests.faults.checks import OWN_ERRORS, Completion, Seen, record_faults, watcher_faults
from tests.faults.checks import Record as Collected
from tests.support.record import Record, at

RUN = "run-1"
"""The run ID of attempts in `tests.support.record`."""

LATER = 5.0
"""Seconds after which the position check, every 2 s, has surely run."""


class Blind(Store):
    """A store that removes one field from changes and thereby disables one guard."""

    field = ""

    async def record(self, changes: Changes) -> list[Outcome]:
        """Record the changes without the field."""
        blank: dict[str, Any] = {self.field: None} if self.field else {}
        steps = [replace(step, **blank) for step in changes.steps]
        return await super().record(replace(changes, steps=steps))


async def without(field: str, pool: asyncpg.Pool) -> Record:
    """A record of two steps, written without one guard; with all guards for ""."""
    record = await Record(pool).plan(a=1, b=1)
    store = Blind(pool, record.published)
    store.field = field
    record.store = store
    return record


async def faults(record: Record, completed: set[str]) -> list[str]:
    """Return the violations that the checks of the fault run find."""
    events = await record.events()
    attempts = [*await record.attempts("a"), *await record.attempts("b")]
    steps = [await record.step(step) for step in ("a", "b")]
    completions = [Completion(activity, {RUN}) for activity in completed]
    hidden = ("points", "fence", "run_id", "activity_id", "queue")
    rows = [{k: v for k, v in step.items() if k not in hidden} for step in steps]
    return record_faults(
        Collected(await record.project(), rows, attempts, events, completions, RUN)
    )


async def complete(record: Record, step: str, second: float, activity: str) -> None:
    attempt = record.attempt(step, second, activity=activity)
    await attempt.say("started")
    await attempt.say("completed", result="e30=")


async def end(record: Record, second: float) -> None:
    await record.store.update_project(
        record.project_id,
        ProjectChange("activated", "active", ends=True, fence=at(second), change_id="ended"),
    )


async def late_start_of_a_zombie(record: Record) -> list[str]:
    """A worker is suspended before its first write and resumes after the end."""
    await complete(record, "b", 1, "b1")
    zombie = record.attempt("a", 2, activity="a1")
    await record.store.update_step_status(
        record.project_id, StepChange("a", "failed", fence=at(3), error=OWN_ERRORS[0])
    )
    await record.store.update_step_status(
        record.project_id, StepChange("a", "retried", fence=at(4))
    )
    await complete(record, "a", 5, "a2")
    await end(record, 6)
    await zombie.say("started")
    return await faults(record, {"b1", "a2"})


async def delivery_after_the_commit(record: Record) -> list[str]:
    """The worker dies between our commit and Temporal's acknowledgement; the step is repeated."""
    await complete(record, "b", 1, "b1")
    await complete(record, "a", 2, "a1")
    again = record.attempt("a", 3, 2, activity="a1")
    if (await again.outcome("started")).said != "kept":
        await again.say("completed", result="e30=")
    await end(record, 4)
    return await faults(record, {"a1", "b1"})


async def lost_answer_of_a_start(record: Record) -> list[str]:
    """The start is committed, the response is lost, and the write is repeated."""
    await complete(record, "b", 1, "b1")
    attempt = record.attempt("a", 2, activity="a1")
    await attempt.say("started")
    await attempt.say("started")
    await attempt.say("completed", result="e30=")
    await end(record, 3)
    made = len(await record.attempts("a"))
    repeated = [f"one attempt is recorded as {made}"] if made > 1 else []
    return [*repeated, *await faults(record, {"a1", "b1"})]


@pytest.mark.parametrize(
    ("field", "scenario", "finds"),
    [
        ("fence", late_start_of_a_zombie, "still running: a"),
        ("result", delivery_after_the_commit, "completed twice within one schedule"),
        ("change_id", lost_answer_of_a_start, "one attempt is recorded as 2"),
    ],
)
async def test_writing_without_a_guard_goes_wrong_and_with_it_does_not(
    pool: asyncpg.Pool,
    field: str,
    scenario: Callable[[Record], Any],
    finds: str,
) -> None:
    assert await scenario(await without("", pool)) == []
    found = await scenario(await without(field, pool))
    assert any(finds in fault for fault in found), found


class Forgetful:
    """A publisher that loses the last message."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def publish(self, project_id: str, messages: list[str]) -> None:
        """Publish all messages except the end."""
        await self._publisher.publish(project_id, [m for m in messages if '"end"' not in m])


async def watch_an_end_that_redis_lost(
    servers: Settings, pool: asyncpg.Pool, options: HubOptions
) -> list[str]:
    """Return the versions that a watcher missed, some seconds after a lost end."""
    redis = open_redis(servers.redis_url)
    record = Record(pool)
    record.store = Store(pool, Forgetful(Publisher(redis)))
    await record.plan(a=1)
    hub = Hub(Reader(pool), servers.redis_url, options)
    await hub.start()
    seen: list[Seen] = []
    try:
        subscription = await hub.connect(UUID(record.project_id))
        assert subscription
        await complete(record, "a", 1, "a1")
        await end(record, 2)
        final = (await record.project())["version"]
        try:
            async with asyncio.timeout(LATER):
                while (chunk := await subscription.next()) is not None:
                    seen += frames(chunk)
        except TimeoutError:
            return watcher_faults(seen, final)
        return watcher_faults(seen, final)
    finally:
        await hub.close()
        await redis.aclose()


async def test_without_the_position_check_a_lost_end_stays_lost(
    servers: Settings, pool: asyncpg.Pool
) -> None:
    assert await watch_an_end_that_redis_lost(servers, pool, HubOptions()) == []
    found = await watch_an_end_that_redis_lost(servers, pool, HubOptions(position_check=False))
    assert any("lost ending" in fault for fault in found), found


class LateSubscriber(Hub):
    """A hub in which a change happens just before it subscribes to the project's messages."""

    meanwhile: Callable[[], Any]

    async def _wait_for_subscription(self, feed: Any) -> None:
        await self.meanwhile()
        await super()._wait_for_subscription(feed)


async def watch_from_the_middle(
    servers: Settings, pool: asyncpg.Pool, options: HubOptions
) -> list[str]:
    """Return the versions that a watcher missed when it connected during a change."""
    redis = open_redis(servers.redis_url)
    record = Record(pool)
    record.store = Store(pool, Publisher(redis))
    await record.plan(a=1)
    hub = LateSubscriber(Reader(pool), servers.redis_url, options)

    async def start_the_step() -> None:
        await record.attempt("a", 1, activity="a1").say("started")

    hub.meanwhile = start_the_step
    await hub.start()
    seen: list[Seen] = []
    try:
        subscription = await hub.connect(UUID(record.project_id))
        assert subscription
        await record.attempt("a", 1, activity="a1").say("completed", result="e30=")
        await end(record, 2)
        final = (await record.project())["version"]
        async with asyncio.timeout(LATER):
            while (chunk := await subscription.next()) is not None:
                seen += frames(chunk)
        return watcher_faults(seen, final)
    finally:
        await hub.close()
        await redis.aclose()


async def test_subscribing_only_after_reading_leaves_a_gap(
    servers: Settings, pool: asyncpg.Pool
) -> None:
    assert await watch_from_the_middle(servers, pool, HubOptions()) == []
    late = HubOptions(subscribe_before_read=False)
    found = await watch_from_the_middle(servers, pool, late)
    assert any("gap" in fault for fault in found), found


def frames(chunk: bytes) -> list[Seen]:
    """Return the events in a chunk of the stream."""
    seen = []
    for frame in chunk.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.splitlines() if ": " in line)
        if "id" in lines:
            seen.append(Seen(int(lines["id"]), lines["event"]))
    return seen
