"""Durations are time worked; the time that a person took is recorded apart."""

from __future__ import annotations

import asyncpg
import pytest

from stepway_tracking.record.changes import StepChange
from tests.support.record import Record

MINUTE = 60_000


@pytest.fixture
async def record(pool: asyncpg.Pool) -> Record:
    """A record of two steps, the first of which has failed."""
    record = await Record(pool).plan(build=1, push=1)
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.say("failed", error="no luck")
    await record.workflow(2, action="failed", status="failed", error="Build: no luck")
    return record


async def pass_minutes(record: Record, minutes: int) -> None:
    """Move all times of the rows into the past."""
    for table, columns in {
        "projects": (
            "initialization_started_at",
            "initialization_completed_at",
            "waiting_since",
        ),
        "project_initialization_steps": ("started_at", "completed_at"),
    }.items():
        moved = ", ".join(f"{one} = {one} - make_interval(mins => $2)" for one in columns)
        key = "id" if table == "projects" else "project_id"
        await record.pool.execute(
            f"UPDATE {table} SET {moved} WHERE {key} = $1", record.project_id, minutes
        )


def about(minutes: float) -> object:
    """Return minutes in milliseconds; the test itself takes some time too."""
    return pytest.approx(minutes * MINUTE, abs=MINUTE / 2)


async def test_project_waits_from_its_failure_to_the_retry(record: Record) -> None:
    assert (await record.project())["waiting_since"] is not None
    await pass_minutes(record, 10)
    retried = StepChange("build", "retried", actor="ada")
    await record.workflow(3, retried, action="retried", status="initializing")
    project = await record.project()
    assert project["waited"] == about(10)
    assert project["waiting_since"] is None
    assert (await record.step("build"))["waited"] == about(10)


async def test_waits_add_up(record: Record) -> None:
    for second, minutes in ((3.0, 10), (6.0, 5)):
        await pass_minutes(record, minutes)
        await record.workflow(
            second, StepChange("build", "retried"), action="retried", status="initializing"
        )
        attempt = record.attempt("build", second + 1, activity=str(second))
        await attempt.say("started")
        await pass_minutes(record, 1)
        await attempt.say("failed", error="again")
        await record.workflow(second + 2, action="failed", status="failed")
    assert (await record.project())["waited"] == about(15)
    step = await record.step("build")
    assert step["waited"] == about(15)
    assert step["duration"] == about(1)


async def test_skipped_step_took_what_its_attempts_took(record: Record) -> None:
    before = (await record.step("build"))["duration"]
    await pass_minutes(record, 10)
    skipped = StepChange("build", "skipped", actor="ada", metadata={"skipped_by": "ada"})
    await record.workflow(3, skipped, action="resumed", status="initializing")
    step = await record.step("build")
    assert step["duration"] == before
    assert step["waited"] == about(10)


async def test_wait_ends_with_the_initialization(record: Record) -> None:
    await pass_minutes(record, 10)
    await record.workflow(3, action="cancelled", status="cancelled", ends=True)
    project = await record.project()
    assert (project["waiting_since"], project["waited"]) == (None, about(10))


async def test_time_between_the_end_and_a_retry_is_no_work(record: Record) -> None:
    await record.workflow(3, action="cancelled", status="cancelled", ends=True)
    await pass_minutes(record, 30)
    retried = StepChange("build", "retried", actor="ada")
    await record.workflow(4, retried, action="retried", status="initializing")
    assert (await record.project())["waited"] == about(30)


async def test_time_before_a_workflow_is_reset_is_no_work(record: Record) -> None:
    """Then a step starts in a project that had ended, and no person has asked for it."""
    await record.workflow(3, action="failed", status="failed", ends=True)
    await pass_minutes(record, 20)
    assert await record.attempt("build", 9, run="run-2").say("started") == "applied"
    project = await record.project()
    assert (project["status"], project["waited"]) == ("initializing", about(20))
    assert (await record.step("build"))["waited"] == about(20)


async def test_other_changes_do_not_touch_the_wait(record: Record) -> None:
    before = await record.project()
    await record.workflow(3, action="cancel_requested")
    after = await record.project()
    for name in ("waited", "waiting_since"):
        assert after[name] == before[name]


async def test_running_project_has_waited_for_nobody(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan(build=1)
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await pass_minutes(record, 3)
    await attempt.say("completed")
    await record.workflow(2, action="activated", status="active", ends=True)
    project, step = await record.project(), await record.step("build")
    assert (project["waited"], project["waiting_since"], step["waited"]) == (0, None, 0)
    assert step["duration"] == about(3)
    await record.check()


async def test_retry_by_an_older_version_ends_the_wait(record: Record) -> None:
    """Its functions know nothing of `waiting_since`."""
    await record.pool.execute(
        "UPDATE projects SET status = 'initializing' WHERE id = $1", record.project_id
    )
    await pass_minutes(record, 10)
    await record.workflow(3, action="failed", status="failed")
    project = await record.project()
    assert project["waited"] == 0
    assert project["waiting_since"] is not None
