"""Each rule of the record's functions: every test here fails if that one rule is taken out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from stepway_tracking.record.changes import StepChange
from stepway_tracking.record.errors import StartExpired
from tests.support.record import Attempt, Record, new_initialization, part


@pytest.fixture
async def record(pool: asyncpg.Pool) -> Record:
    return await Record(pool).plan(build=1, push=1)


async def started(record: Record, second: float = 1, number: int = 1, **more: str) -> Attempt:
    """An attempt at `build` that has started."""
    attempt = record.attempt("build", second, number, **more)
    assert await attempt.say("started") == "applied"
    return attempt


async def failed(record: Record) -> None:
    """`build` with progress, a message, a part and an error, failed for good."""
    attempt = await started(record)
    await attempt.progress(40, "half way", part("x", 50))
    await attempt.say("failed", error="no luck")


# Fences


async def test_the_late_start_of_an_earlier_attempt_is_superseded(record: Record) -> None:
    await started(record, 5, 2)
    assert await record.attempt("build", 1).say("started") == "superseded"


@pytest.mark.parametrize("second", [3, 9])
async def test_an_attempt_whose_start_was_never_recorded_reports_nothing(
    record: Record, second: float
) -> None:
    await started(record, 5)
    other = record.attempt("build", second, 2)
    assert await other.progress(50) == "superseded"
    assert await other.say("completed", result="eA==") == "superseded"


async def test_an_attempt_from_before_the_workflow_gave_up_does_not_start(record: Record) -> None:
    await started(record)
    await record.workflow(5, StepChange("build", "failed", error="late"))
    assert await record.attempt("build", 3, 2).say("started") == "superseded"


async def test_a_start_at_the_moment_of_the_end_counts(record: Record) -> None:
    await record.workflow(5, action="ended", status="failed", ends=True)
    assert await record.attempt("build", 5).say("started") == "applied"


async def test_two_changes_of_the_project_at_one_moment_both_count(record: Record) -> None:
    assert await record.workflow(5, action="failed", status="failed") == ["applied"]
    assert await record.workflow(5, action="retried", status="initializing") == ["applied"]
    assert await record.workflow(4, action="failed", status="failed") == ["superseded"]


# What is kept


async def test_another_activity_of_the_run_is_not_given_the_kept_result(record: Record) -> None:
    await (await started(record)).say("completed", result="eA==")
    assert await record.attempt("build", 7, activity="8").say("started") == "applied"


async def test_another_step_of_the_run_is_not_given_the_kept_result(record: Record) -> None:
    await (await started(record)).say("completed", result="eA==")
    assert await record.attempt("push", 7).say("started") == "applied"


async def test_a_completed_step_cannot_become_failed(record: Record) -> None:
    await (await started(record)).say("completed", result="eA==")
    before = await record.step("build")
    given_up = StepChange("build", "failed", error="The step exceeded its time limit.")
    outcome = await record.store.update_step_status(record.project_id, given_up)
    assert (outcome.said, outcome.result) == ("kept", "eA==")
    assert await record.workflow(9, given_up) == ["kept"]
    assert await record.step("build") == before
    assert (await record.attempts("build"))[0]["outcome"] == "completed"
    await record.check()


async def test_a_step_that_found_nothing_to_do_cannot_become_failed(record: Record) -> None:
    await (await started(record)).say("skipped", result="eA==", metadata={"reason": "no cluster"})
    assert await record.workflow(9, StepChange("build", "failed", error="late")) == ["kept"]
    assert (await record.step("build"))["status"] == "skipped"


async def test_a_result_of_an_earlier_round_keeps_nothing_in_the_next(record: Record) -> None:
    await (await started(record)).say("completed", result="eA==")
    await record.workflow(5, StepChange("build", "retried"))
    await started(record, 7, activity="8")
    assert await record.workflow(9, StepChange("build", "failed", error="e")) == ["applied"]


# Attempts and rounds


async def test_a_start_closes_the_open_attempts_of_its_own_step_only(record: Record) -> None:
    await started(record)
    await record.attempt("push", 2, activity="2").say("started")
    assert (await record.attempts("build"))[0]["ended_at"] is None


@pytest.mark.parametrize(
    ("number", "more"),
    [(1, {}), (2, {"run": "run-2"}), (2, {"activity": "9"})],
    ids=["counted from 1", "another run", "another activity"],
)
async def test_a_new_round_begins(record: Record, number: int, more: dict[str, str]) -> None:
    await started(record)
    await started(record, 5, number, **more)
    assert (await record.step("build"))["round"] == 2


@pytest.mark.parametrize("numbers", [(1, 2), (2, 3)])
async def test_a_reset_begins_one_round_and_its_later_attempts_stay_in_it(
    record: Record, numbers: tuple[int, int]
) -> None:
    await (await started(record)).say("interrupted", outcome="reset")
    await started(record, 3, numbers[0])
    await started(record, 5, numbers[1])
    assert (await record.step("build"))["round"] == 2


async def test_a_start_says_how_the_earlier_attempts_of_its_round_ended(record: Record) -> None:
    first = await record.attempt("build", 1).outcome("started")
    assert (first.failures, first.losses) == (0, 0)
    await record.attempt("build", 1).say("attempt_failed", error="e")
    await (await started(record, 2, 2)).say("attempt_failed", error="e", outcome="timed_out")
    await (await started(record, 3, 3)).say("interrupted", outcome="interrupted")
    await (await started(record, 4, 4)).say("paused", outcome="paused")
    wait = await started(record, 5, 5)
    await wait.say("attempt_failed", outcome="interrupted", error="busy")
    await started(record, 6, 6)
    last = record.attempt("build", 7, 7)
    for said in ("applied", "repeat"):
        outcome = await last.outcome("started")
        assert (outcome.said, outcome.failures, outcome.losses) == (said, 2, 2)
        assert outcome.waits == 1
    anew = await record.attempt("build", 8, activity="9").outcome("started")
    assert (anew.failures, anew.losses, anew.waits) == (0, 0, 0)


async def test_a_start_after_the_end_opens_the_project_again(record: Record) -> None:
    await record.workflow(5, action="ended", status="failed", ends=True)
    await started(record, 7)
    project = await record.project()
    assert project["status"] == "initializing"
    assert project["initialization_completed_at"] is None


async def test_a_retry_opens_an_ended_project_again(record: Record) -> None:
    await record.workflow(5, action="ended", status="failed", ends=True)
    await record.workflow(7, action="retried", status="initializing")
    assert (await record.project())["initialization_completed_at"] is None


async def test_a_step_without_a_start_has_no_negative_duration(pool: asyncpg.Pool) -> None:
    later, earlier = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    row = "SELECT stepway_milliseconds_v3($1, $2)"
    assert await pool.fetchval(row, later, earlier) == 0
    assert await pool.fetchval(row, earlier, later) == 86_400_000


# What a change leaves behind


async def test_a_new_attempt_has_no_message_of_the_one_before(record: Record) -> None:
    await (await started(record)).progress(10, "half way")
    await started(record, 2, 2)
    assert (await record.step("build"))["message"] is None


async def test_a_retry_clears_progress_and_parts(record: Record) -> None:
    await failed(record)
    await record.workflow(5, StepChange("build", "retried"))
    assert (await record.step("build"))["progress"] == 0
    assert (await record.step("build.x"))["status"] == "pending"


async def test_a_skip_clears_the_error(record: Record) -> None:
    await failed(record)
    await record.workflow(5, StepChange("build", "skipped"))
    assert (await record.step("build"))["error"] is None


@pytest.mark.parametrize("again", ["retried", "started"])
async def test_a_step_that_comes_again_is_no_longer_rolled_back(record: Record, again: str) -> None:
    await (await started(record)).say("completed", result="eA==")
    await record.workflow(5, StepChange("build", "undone"))
    assert (await record.step("build"))["undone_at"]
    if again == "retried":
        await record.workflow(6, StepChange("build", "retried"))
    else:
        await started(record, 7, run="run-2")
    assert (await record.step("build"))["undone_at"] is None


async def test_a_failed_step_has_no_next_attempt(record: Record) -> None:
    waits = {"next_attempt_at": "soon", "last_error": "no luck", "paused": True}
    await (await started(record)).say("attempt_failed", error="no luck", metadata=waits)
    await record.workflow(5, StepChange("build", "failed", error="no luck"))
    assert (await record.step("build"))["metadata"] == {}


# Parts


async def test_the_end_of_a_step_ends_its_own_parts_only(record: Record) -> None:
    build, push = await started(record), record.attempt("push", 1, activity="2")
    await push.say("started")
    await build.progress(10, "", part("x"))
    await push.progress(10, "", part("y"))
    await build.say("completed", result="eA==")
    assert (await record.step("push.y"))["status"] == "running"


@pytest.mark.parametrize("percent", [100, 150])
async def test_a_part_is_completed_at_100_percent_or_more(record: Record, percent: int) -> None:
    await (await started(record)).progress(10, "", part("x", percent))
    row = await record.step("build.x")
    assert (row["status"], row["progress"]) == ("completed", 100)


async def test_a_part_is_at_0_percent_at_least(record: Record) -> None:
    assert await (await started(record)).progress(10, "", part("x", -5)) == "applied"
    assert (await record.step("build.x"))["progress"] == 0


async def test_a_completed_part_that_is_named_again_stays_completed(record: Record) -> None:
    attempt = await started(record)
    await attempt.progress(10, "", part("x", 100))
    await attempt.progress(20, "", part("x", 30))
    assert (await record.step("build.x"))["status"] == "completed"


async def test_a_part_tells_each_change_once(record: Record) -> None:
    attempt = await started(record)
    await attempt.progress(10, "", part("x", 50))
    await attempt.progress(10, "", part("x", 50))
    assert await record.actions("build.x") == ["started"]
    await attempt.progress(10, "", part("x", 100))
    assert await record.actions("build.x") == ["started", "completed"]


async def test_a_new_attempt_resets_a_part_once_and_wholly(record: Record) -> None:
    await (await started(record)).progress(10, "", part("x", 50))
    await started(record, 2, 2)
    assert (await record.step("build.x"))["progress"] == 0
    await started(record, 3, 3)
    assert await record.actions("build.x") == ["started", "reset"]


# The plan


async def test_a_plan_that_is_repeated_after_its_deadline_is_a_repeat(pool: asyncpg.Pool) -> None:
    record = Record(pool)
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    new = new_initialization(record.project_id, {"a": 1})
    assert await record.store.initialize_steps_in_database(new)
    late = new_initialization(record.project_id, {"a": 1}, name=new.name, deadline=past)
    assert not await record.store.initialize_steps_in_database(late)
    with pytest.raises(StartExpired):
        await Record(pool).store.initialize_steps_in_database(
            new_initialization(str(Record(pool).project_id), {"a": 1}, deadline=past)
        )


async def test_a_project_without_steps_may_fail(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan()
    await record.workflow(5, action="ended", status="failed", ends=True)
    project = await record.project()
    assert (project["status"], project["progress"]) == ("failed", 0)


async def test_messages_are_published_in_the_order_of_their_versions(record: Record) -> None:
    attempt = await started(record)
    await attempt.progress(10, "", part("x", 50))
    await attempt.say("completed", result="eA==")
    versions = [message["version"] for message in record.published.messages]
    assert versions == sorted(versions) and len(versions) == len(await record.events())
