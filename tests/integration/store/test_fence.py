"""Which writers may change a step, and when a repeated delivery does not run again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from stepway_tracking.record.changes import Changes, ProjectChange, StepChange
from stepway_tracking.record.errors import NameTaken, StartExpired
from tests.support.record import Record, at, new_initialization


@pytest.fixture
async def record(pool: asyncpg.Pool) -> AsyncIterator[Record]:
    """A record of two steps, checked at the end."""
    record = await Record(pool).plan(build=1, push=1)
    yield record
    await record.check()


async def test_a_zombie_writes_nothing_once_the_next_attempt_has_started(record: Record) -> None:
    zombie, heir = record.attempt("build", 1), record.attempt("build", 5, 2)
    await zombie.say("started")
    await heir.say("started")
    before = await record.step("build")
    said = [
        await zombie.progress(90),
        await zombie.say("completed", result="eA=="),
        await zombie.say("failed", error="late"),
        await zombie.say("attempt_failed", error="late"),
        await zombie.say("slow", metadata={"slow": True}),
    ]
    assert said == ["superseded"] * 5
    assert await record.step("build") == before
    assert await heir.say("completed") == "applied"
    assert [a["outcome"] for a in await record.attempts("build")] == ["lost", "completed"]


async def test_a_zombie_that_finishes_before_the_next_attempt_starts_has_done_the_step(
    record: Record,
) -> None:
    zombie, heir = record.attempt("build", 1), record.attempt("build", 5, 2)
    await zombie.say("started")
    assert await zombie.say("completed", result="eA==") == "applied"
    start = await heir.outcome("started")
    assert (start.said, start.result) == ("kept", "eA==")
    assert await record.actions("build") == ["started", "completed"]
    assert len(await record.attempts("build")) == 1


async def test_step_that_the_workflow_failed_stays_failed_despite_late_writes(
    record: Record,
) -> None:
    zombie = record.attempt("build", 1)
    await zombie.say("started")
    await record.workflow(5, StepChange("build", "failed", error="late", outcome="timed_out"))
    assert await zombie.say("completed", result="eA==") == "superseded"
    assert await zombie.progress(90) == "superseded"
    assert [a["outcome"] for a in await record.attempts("build")] == ["timed_out"]


async def test_a_zombie_of_a_step_that_waits_for_its_retry_writes_nothing(record: Record) -> None:
    zombie = record.attempt("build", 1)
    await zombie.say("started")
    await record.workflow(5, StepChange("build", "failed", error="late"))
    await record.workflow(6, StepChange("build", "retried"))
    assert await zombie.say("completed") == "superseded"
    assert (await record.step("build"))["status"] == "pending"


async def test_an_equal_fence_belongs_to_the_same_moment_and_may_write(record: Record) -> None:
    await record.workflow(5, StepChange("build", "retried"))
    attempt = record.attempt("build", 5)
    assert await attempt.say("started") == "applied"
    assert await record.workflow(5, StepChange("build", "failed", error="x")) == ["applied"]
    assert await attempt.say("completed") == "superseded"


async def test_a_start_that_comes_after_the_end_of_everything_does_not_reopen_it(
    record: Record,
) -> None:
    await record.workflow(9, action="reconciled", status="failed", error="gone", ends=True)
    assert await record.attempt("push", 5).say("started") == "superseded"
    assert (await record.project())["status"] == "failed"


async def test_attempts_from_1_again_are_a_new_round(record: Record) -> None:
    for second, number in ((1, 1), (2, 2), (3, 1), (4, 2)):
        await record.attempt("build", second, number).say("started")
    rounds = [(a["round"], a["attempt"]) for a in await record.attempts("build")]
    assert rounds == [(1, 1), (1, 2), (2, 1), (2, 2)]


async def test_what_follows_a_reset_is_a_new_round_however_it_is_counted(record: Record) -> None:
    await record.attempt("build", 1).say("started")
    await record.attempt("build", 1).say("interrupted", outcome="reset")
    await record.attempt("build", 5, 2).say("started")
    assert (await record.step("build"))["round"] == 2


async def test_a_retry_by_a_person_is_a_new_round_with_a_time_of_its_own(record: Record) -> None:
    await record.attempt("build", 1).say("started")
    await record.attempt("build", 1).say("failed", error="x")
    first = await record.step("build")
    await record.workflow(5, StepChange("build", "retried"))
    await record.attempt("build", 6, activity="2").say("started")
    again = await record.step("build")
    assert (again["round"], again["attempt"]) == (2, 1)
    assert again["started_at"] > first["completed_at"]


async def test_a_workflow_reset_runs_in_a_new_round_and_knows_no_kept_result(
    record: Record,
) -> None:
    await record.attempt("build", 1).say("started")
    await record.attempt("build", 1).say("completed", result="eA==")
    reset = record.attempt("build", 9, run="run-2")
    assert await reset.say("started") == "applied"
    project, row = await record.project(), await record.step("build")
    assert (project["run_id"], row["round"], row["status"]) == ("run-2", 2, "running")
    assert project["progress"] == 50
    assert await record.attempt("build", 1).say("failed", error="late") == "superseded"


async def test_the_duration_of_a_step_counts_all_attempts_of_its_round(record: Record) -> None:
    await record.attempt("build", 1).say("started")
    first = await record.step("build")
    await record.attempt("build", 1).say("attempt_failed", error="x")
    await record.attempt("build", 5, 2).say("started")
    assert (await record.step("build"))["started_at"] == first["started_at"]


async def test_a_soft_skip_is_kept_too(record: Record) -> None:
    await record.attempt("build", 1).say("started")
    await record.attempt("build", 1).say("skipped", result="eA==", metadata={"reason": "nothing"})
    assert await record.attempt("build", 5, 2).say("started") == "kept"
    row = await record.step("build")
    assert (row["status"], row["metadata"]["reason"]) == ("skipped", "nothing")


async def test_the_project_has_a_fence_of_its_own(record: Record) -> None:
    await record.workflow(9, action="failed", status="failed", error="x")
    assert await record.workflow(5, action="resumed", status="initializing") == ["superseded"]
    assert (await record.project())["status"] == "failed"
    assert await record.workflow(10, action="resumed", status="initializing") == ["applied"]
    assert (await record.project())["initialization_error"] is None


async def test_change_based_on_an_older_version_is_not_written(record: Record) -> None:
    seen = (await record.project())["version"]
    await record.attempt("build", 1).say("started")
    steps = [StepChange("build", "failed", fence=at(9), version=seen)]
    ending = ProjectChange("reconciled", "failed", ends=True, fence=at(9), version=seen)
    outcomes = await record.store.record(Changes(record.project_id, steps, ending))
    assert [outcome.said for outcome in outcomes] == ["superseded"] * 2
    assert (await record.step("build"))["status"] == "running"


async def test_a_start_after_its_deadline_creates_nothing(pool: asyncpg.Pool) -> None:
    record = Record(pool)
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    with pytest.raises(StartExpired):
        await record.store.initialize_steps_in_database(
            new_initialization(record.project_id, {"build": 1}, deadline=past)
        )
    assert (
        await pool.fetchval("SELECT count(*) FROM projects WHERE id = $1", record.project_id) == 0
    )


async def test_a_name_belongs_to_one_project_of_its_owner(record: Record) -> None:
    name = (await record.project())["name"]
    other = Record(record.pool)
    with pytest.raises(NameTaken):
        await other.store.initialize_steps_in_database(
            new_initialization(other.project_id, {"build": 1}, name=name)
        )
    assert await record.store.initialize_steps_in_database(
        new_initialization(other.project_id, {"build": 1}, name=name, owner="ada")
    )
