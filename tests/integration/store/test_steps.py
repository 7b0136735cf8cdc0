"""The effect of each change on a step, its sub-steps and the project."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from stepway_tracking.record.changes import StepChange
from tests.support.record import Record, part


@pytest.fixture
async def record(pool: asyncpg.Pool) -> AsyncIterator[Record]:
    """A record of three steps with weights 10, 30 and 60; its invariants are checked at the end."""
    record = await Record(pool).plan(build=10, push=30, deploy=60)
    yield record
    await record.check()


async def test_all_rows_are_pending_at_version_1(record: Record) -> None:
    project = await record.project()
    assert (project["version"], project["status"], project["progress"]) == (1, "initializing", 0)
    assert [(await record.step(s))["status"] for s in ("build", "push", "deploy")] == [
        "pending"
    ] * 3
    assert await record.actions() == ["planned"]
    assert [m["type"] for m in record.published.messages] == ["snapshot"]


async def test_a_step_completes_with_what_it_made_and_how_long_it_took(record: Record) -> None:
    attempt = record.attempt("build", 1)
    assert await attempt.say("started", worker="7@host") == "applied"
    assert await attempt.progress(40, "compiling") == "applied"
    assert await attempt.say("completed", result="eA==", metadata={"files": 3}) == "applied"
    row = await record.step("build")
    assert (row["status"], row["progress"], row["attempt"]) == ("completed", 100, 1)
    assert row["metadata"]["files"] == 3
    assert row["duration"] >= 0 and row["completed_at"] >= row["started_at"]
    [kept] = await record.attempts("build")
    assert (kept["outcome"], kept["worker"], kept["round"]) == ("completed", "7@host", 1)
    assert await record.actions("build") == ["started", "progressed", "completed"]
    assert (await record.project())["progress"] == 10


async def test_what_is_published_is_what_the_events_hold(record: Record) -> None:
    await record.attempt("build", 1).say("started")
    await record.attempt("build", 1).say("completed")
    stored = [(e["version"], e["type"], e["payload"]) for e in await record.events()]
    assert [(m["version"], m["type"], m["data"]) for m in record.published.messages] == stored


async def test_progress_of_an_attempt_never_goes_down_nor_beyond_its_limits(
    record: Record,
) -> None:
    attempt = record.attempt("deploy", 1)
    await attempt.say("started")
    said = [await attempt.progress(percent) for percent in (-5, 50, 30, 50, 900)]
    assert said == ["unchanged", "applied", "unchanged", "unchanged", "applied"]
    assert (await record.step("deploy"))["progress"] == 100
    assert await attempt.say("progressed", message="all but done") == "applied"
    assert (await record.project())["progress"] == 60


async def test_the_whole_keeps_its_progress_over_a_new_attempt_but_not_over_a_retry(
    record: Record,
) -> None:
    first, second = record.attempt("deploy", 1), record.attempt("deploy", 5, 2)
    await first.say("started")
    await first.progress(50)
    await first.say("attempt_failed", error="no luck")
    await second.say("started")
    assert (await record.step("deploy"))["progress"] == 0
    assert (await record.project())["progress"] == 30
    await second.progress(20)
    assert (await record.project())["progress"] == 30
    await second.say("failed", error="no luck at all")
    assert (await record.project())["progress"] == 30
    await record.workflow(9, StepChange("deploy", "retried", actor="ada"))
    assert (await record.project())["progress"] == 0


async def test_an_attempt_that_will_be_retried_leaves_the_step_running_with_its_error(
    record: Record,
) -> None:
    first, second = record.attempt("push", 1), record.attempt("push", 5, 2)
    await first.say("started")
    await first.say(
        "attempt_failed",
        error="refused",
        error_stack="Traceback",
        metadata={"last_error": "refused", "next_attempt_at": "2026-01-01T00:00:05+00:00"},
    )
    row = await record.step("push")
    assert (row["status"], row["error"], row["completed_at"]) == ("running", "refused", None)
    assert row["metadata"]["next_attempt_at"]
    await second.say("started")
    row = await record.step("push")
    assert (row["error"], row["error_stack"], row["attempt"]) == (None, None, 2)
    assert row["metadata"] == {"last_error": "refused"}
    await second.say("completed")
    assert (await record.step("push"))["metadata"] == {}
    assert [a["outcome"] for a in await record.attempts("push")] == ["failed", "completed"]


async def test_a_failed_step_has_its_duration_even_when_it_never_started(record: Record) -> None:
    timed_out = StepChange("push", "failed", error="No worker took it.", outcome="timed_out")
    assert await record.workflow(9, timed_out) == ["applied"]
    row = await record.step("push")
    assert (row["status"], row["duration"], row["started_at"]) == ("failed", 0, None)
    assert row["completed_at"] and await record.attempts("push") == []


async def test_a_workflow_that_gives_up_keeps_the_stack_of_the_last_attempt(
    record: Record,
) -> None:
    attempt = record.attempt("push", 1)
    await attempt.say("started")
    await attempt.say("attempt_failed", error="refused", error_stack="Traceback")
    await record.workflow(9, StepChange("push", "failed", error="The step did not end in time."))
    row = await record.step("push")
    assert (row["error"], row["error_stack"]) == ("The step did not end in time.", "Traceback")


async def test_a_failure_told_by_both_interceptor_and_workflow_is_recorded_once(
    record: Record,
) -> None:
    attempt = record.attempt("push", 1)
    await attempt.say("started")
    await attempt.say("failed", error="refused", error_stack="Traceback")
    told_again = StepChange("push", "failed", error="refused")
    assert await record.workflow(9, told_again) == ["unchanged"]
    assert (await record.step("push"))["error_stack"] == "Traceback"
    assert await record.actions("push") == ["started", "failed"]


async def test_paused_is_not_failed_and_the_next_attempt_clears_it(record: Record) -> None:
    await record.attempt("push", 1).say("started")
    paused = {"outcome": "paused", "metadata": {"paused": True}}
    await record.attempt("push", 1).say("paused", **paused)
    row = await record.step("push")
    assert (row["status"], row["metadata"]) == ("running", {"paused": True})
    await record.attempt("push", 5, 2).say("started")
    assert (await record.step("push"))["metadata"] == {}
    assert [a["outcome"] for a in await record.attempts("push")] == ["paused", None]


async def test_slow_is_marked_on_a_running_attempt_and_gone_with_the_next(record: Record) -> None:
    attempt = record.attempt("push", 1)
    await attempt.say("started")
    assert await attempt.say("slow", metadata={"slow": True}) == "applied"
    assert await attempt.say("slow", metadata={"slow": True}) == "repeat"
    assert (await record.step("push"))["metadata"] == {"slow": True}
    await record.attempt("push", 5, 2).say("started")
    assert (await record.step("push"))["metadata"] == {}


async def test_a_skip_by_a_person_tells_who_and_why_until_the_step_runs_again(
    record: Record,
) -> None:
    why = {"reason": "no cluster yet", "skipped_by": "ada"}
    await record.workflow(9, StepChange("deploy", "skipped", actor="ada", metadata=why))
    row = await record.step("deploy")
    assert (row["status"], row["metadata"]) == ("skipped", why)
    assert (await record.project())["progress"] == 60
    await record.workflow(10, StepChange("deploy", "retried", actor="ada"))
    assert (await record.step("deploy"))["metadata"] == {}
    assert [e["actor"] for e in await record.events() if e["step"] == "deploy"] == ["ada", "ada"]


async def test_parts_follow_one_another_and_end_with_their_step(record: Record) -> None:
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.progress(10, "", part("fetch"), part("compile", 20))
    fetch, compile = await record.step("build.fetch"), await record.step("build.compile")
    assert (fetch["status"], fetch["progress"], fetch["weight"]) == ("completed", 100, 0)
    assert (compile["status"], compile["progress"]) == ("running", 20)
    assert compile["parent_step"] == "build" and compile["sequence"] == fetch["sequence"] == 1
    await attempt.progress(20, "", part("compile", 10), part("compile", 60))
    assert (await record.step("build.compile"))["progress"] == 60
    await attempt.say("failed", error="no compiler")
    assert (await record.step("build.compile"))["status"] == "failed"
    assert await record.actions("build.compile") == ["started", "progressed", "failed"]


async def test_a_part_that_only_an_earlier_attempt_named_is_skipped_at_the_end(
    record: Record,
) -> None:
    first, second = record.attempt("build", 1), record.attempt("build", 5, 2)
    await first.say("started")
    await first.progress(10, "", part("fetch", 100), part("compile"))
    await first.say("attempt_failed", error="no luck")
    await second.say("started")
    assert [(await record.step(f"build.{p}"))["status"] for p in ("fetch", "compile")] == [
        "pending"
    ] * 2
    await second.progress(10, "", part("compile"))
    await second.say("completed")
    assert (await record.step("build.fetch"))["status"] == "skipped"
    assert (await record.step("build.compile"))["status"] == "completed"


async def test_a_part_never_takes_the_row_of_a_step_of_its_own(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan(**{"build": 1, "build.image": 1})
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.progress(50, "", part("image", 50))
    await attempt.say("completed")
    row = await record.step("build.image")
    assert (row["status"], row["parent_step"]) == ("pending", None)
    await record.check()


async def test_an_undo_is_told_on_the_step_that_it_takes_back(record: Record) -> None:
    await record.attempt("build", 1).say("started")
    await record.attempt("build", 1).say("completed", metadata={"url": "x"})
    undo = {"undo": {"status": "failed", "error": "somebody changed it"}}
    said = await record.workflow(
        9,
        StepChange("build", "undo_started", metadata={"undo": {"status": "running"}}),
        StepChange("build", "undo_failed", metadata=undo),
        StepChange("build", "undo_failed", metadata=undo),
    )
    assert said == ["applied", "applied", "unchanged"]
    row = await record.step("build")
    assert (row["status"], row["undone_at"]) == ("completed", None)
    assert row["metadata"] == {"url": "x", **undo}
    await record.workflow(10, StepChange("build", "undone"))
    assert (await record.step("build"))["undone_at"]


async def test_the_end_is_an_event_of_its_own_with_a_version_of_its_own(record: Record) -> None:
    for number, step in enumerate(("build", "push", "deploy")):
        await record.attempt(step, number).say("started")
        await record.attempt(step, number).say("completed")
    said = await record.workflow(
        9, StepChange("build", "completed"), action="activated", status="active", ends=True
    )
    assert said == ["unchanged", "applied"]
    project = await record.project()
    assert (project["status"], project["progress"]) == ("active", 100)
    assert project["initialization_completed_at"]
    [told, end] = (await record.events())[-2:]
    assert (told["type"], end["type"], end["action"]) == ("project", "end", "ended")
    assert end["payload"] == {"version": told["version"] + 1, "status": "active"}


async def test_a_step_that_starts_after_the_end_opens_the_initialization_again(
    record: Record,
) -> None:
    await record.workflow(5, action="failed", status="failed", error="push: no", ends=True)
    assert await record.attempt("push", 9, run="run-2").say("started") == "applied"
    project = await record.project()
    assert (project["status"], project["run_id"]) == ("initializing", "run-2")
    assert project["initialization_completed_at"] is project["initialization_error"] is None
    assert (await record.actions())[-2:] == ["reopened", "started"]
