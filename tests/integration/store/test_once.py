"""Each change is applied once and in order, also with concurrent writers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from stepway_tracking.record.changes import Changes, ProjectChange, StepChange
from stepway_tracking.record.store import Store
from tests.support.record import Record, at, new_initialization, part

WRITERS = 8


@pytest.fixture
async def record(pool: asyncpg.Pool) -> AsyncIterator[Record]:
    """A record of four steps, checked at the end."""
    record = await Record(pool).plan(a=1, b=2, c=3, d=4)
    yield record
    await record.check()


async def test_a_start_written_twice_creates_one_project(pool: asyncpg.Pool) -> None:
    record = Record(pool)
    new = new_initialization(record.project_id, {"a": 1})
    created = await asyncio.gather(
        *(record.store.initialize_steps_in_database(new) for _ in range(WRITERS))
    )
    assert sorted(created) == [False] * (WRITERS - 1) + [True]
    await record.check()


async def test_two_starts_with_one_name_create_one_project(pool: asyncpg.Pool) -> None:
    records = [Record(pool) for _ in range(WRITERS)]
    name = f"p-{records[0].project_id[:8]}"
    created = await asyncio.gather(
        *(
            record.store.initialize_steps_in_database(
                new_initialization(record.project_id, {"a": 1}, name=name)
            )
            for record in records
        ),
        return_exceptions=True,
    )
    assert created.count(True) == 1
    assert {type(each).__name__ for each in created} == {"bool", "NameTaken"}


async def test_a_repeated_change_is_applied_once_even_while_the_first_is_in_flight(
    record: Record, pool: asyncpg.Pool
) -> None:
    attempt = record.attempt("a", 1)
    await attempt.say("started")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "SELECT 1 FROM projects WHERE id = $1 FOR UPDATE", record.project_id
        )
        waiting = [asyncio.create_task(attempt.say("completed", result="eA==")) for _ in range(3)]
        await asyncio.wait(waiting, timeout=0.2)
        assert not any(task.done() for task in waiting)
    said = await asyncio.gather(*waiting)
    assert sorted(said) == ["applied", "repeat", "repeat"]
    assert await record.actions("a") == ["started", "completed"]
    assert len(await record.attempts("a")) == 1


async def test_a_start_repeated_after_a_lost_answer_is_no_second_attempt(record: Record) -> None:
    attempt = record.attempt("a", 1)
    assert [await attempt.say("started") for _ in range(2)] == ["applied", "repeat"]
    assert await attempt.say("completed") == "applied"
    assert len(await record.attempts("a")) == 1


async def test_a_batch_repeated_after_a_lost_answer_changes_nothing(record: Record) -> None:
    steps = [StepChange("a", "skipped", fence=at(5), change_id="run-1/a/skipped")]
    ending = ProjectChange(
        "cancelled", "cancelled", ends=True, fence=at(5), change_id="run-1/ended"
    )
    changes = Changes(record.project_id, steps, ending)
    first = [outcome.said for outcome in await record.store.record(changes)]
    again = [outcome.said for outcome in await record.store.record(changes)]
    assert (first, again) == (["applied"] * 2, ["repeat"] * 2)
    assert (await record.actions())[-3:] == ["skipped", "cancelled", "ended"]


async def test_many_writers_neither_deadlock_nor_leave_a_gap(pool: asyncpg.Pool) -> None:
    """Raises DeadlockDetectedError (40P01) if locks are not taken in order."""
    weights = {f"s{number}": number + 1 for number in range(WRITERS)}
    record = await Record(pool).plan(**weights)

    async def work(step: str, seed: int) -> None:
        chance = random.Random(seed)
        for number in range(1, 4):
            attempt = record.attempt(step, number, number, activity=step)
            await attempt.say("started")
            for percent in sorted(chance.sample(range(100), 8)):
                await attempt.progress(percent, "", part(chance.choice("xyz"), percent))
            await attempt.say("attempt_failed" if number < 3 else "completed", error="no luck")

    async def decide() -> None:
        """A workflow that writes several steps in random order, and the project."""
        for second in range(4, 24):
            steps = [StepChange(step, "undo_started") for step in reversed(weights)]
            resumed = ProjectChange("resumed", fence=at(second))
            await record.store.record(Changes(record.project_id, steps, resumed))

    await asyncio.gather(*(work(step, seed) for seed, step in enumerate(weights)), decide())
    whole = [event["payload"]["progress"] for event in await record.events()]
    assert whole == sorted(whole) and whole[-1] == 100
    await record.check()


async def test_a_project_deleted_while_it_is_written_deadlocks_nobody(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan(a=1, b=1)
    attempts = [record.attempt("a", 1), record.attempt("b", 1, activity="2")]
    for attempt in attempts:
        await attempt.say("started")
    said = await asyncio.gather(
        *(attempt.progress(percent) for percent in range(1, 20) for attempt in attempts),
        pool.execute("DELETE FROM projects WHERE id = $1", record.project_id),
    )
    assert set(said[:-1]) <= {"applied", "unchanged", "unknown"}
    assert await attempts[0].say("completed") == "unknown"


async def test_others_are_told_only_after_the_commit(record: Record) -> None:
    seen: list[str] = []

    class Looking:
        async def publish(self, project_id: str, messages: list[str]) -> None:
            seen.append((await record.step("a"))["status"])

    change = record.attempt("a", 1).change("started")
    await Store(record.pool, Looking()).update_step_status(record.project_id, change)
    assert seen == ["running"]
