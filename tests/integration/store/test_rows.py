"""Each column that a change sets, and each row that it must leave alone."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from stepway_tracking.record.changes import StepChange
from stepway_tracking.record.store import Outcome
from tests.support.record import Record, at, new_initialization, part

RESULT = "eA=="
PASSING = {
    "next_attempt_at": "soon",
    "last_error": "no luck",
    "paused": True,
    "remedy": "Try again.",
    "error_details": {"exit_status": 1},
    "reason": "nothing to do",
    "skipped_by": "ada",
    "slow": True,
    "undo": {"status": "running"},
}
"""All fields of a step's metadata that belong to one round."""


@pytest.fixture
async def record(pool: asyncpg.Pool) -> Record:
    return await Record(pool).plan(build=2, push=1)


async def everything(record: Record) -> list[Any]:
    """All rows of a project."""
    steps = [await record.step(step) for step in ("build", "push")]
    attempts = [await record.attempts(step) for step in ("build", "push")]
    return [await record.project(), steps, attempts, await record.events()]


async def failing(record: Record, second: float = 1, **more: Any) -> None:
    """A first attempt at `build` with progress, a message and a part, which has failed."""
    attempt = record.attempt("build", second)
    await attempt.say("started")
    await attempt.progress(40, "half way", part("x", 50))
    await attempt.say("attempt_failed", error="no luck", error_stack="Traceback", **more)


# Other rows


@pytest.mark.parametrize("ended", [True, False])
async def test_changes_leave_the_same_steps_of_another_project_alone(
    record: Record, pool: asyncpg.Pool, ended: bool
) -> None:
    other = await Record(pool).plan(build=2, push=1)
    await failing(other)
    await other.attempt("build", 2, 2).say("started")
    if ended:
        await other.workflow(3, action="ended", status="failed", ends=True)
    before = await everything(other)
    first = await record.attempt("build", 1).outcome("started")
    assert (first.failures, first.losses) == (0, 0)
    await record.attempt("build", 1).progress(10, "", part("x", 50))
    await record.attempt("build", 2, 2).say("started")
    await record.attempt("build", 2, 2).say("attempt_failed", error="no luck")
    await record.workflow(4, StepChange("build", "failed"), action="failed", status="failed")
    await record.workflow(5, StepChange("build", "retried"))
    await record.attempt("build", 6, activity="2").say("started")
    await record.workflow(7, action="ended", status="failed", ends=True)
    assert await everything(other) == before


async def test_changes_of_a_step_leave_the_other_steps_attempts_alone(record: Record) -> None:
    push = record.attempt("push", 1, activity="2")
    await push.say("started")
    await push.say("attempt_failed", error="no luck")
    await record.attempt("push", 2, 2, activity="2").say("started")
    before = await record.attempts("push")
    first = await record.attempt("build", 1).outcome("started")
    assert (first.failures, first.losses) == (0, 0)
    await record.attempt("build", 1).say("failed", error="no luck")
    assert await record.attempts("push") == before


async def test_a_reset_of_one_step_begins_no_round_of_another(record: Record) -> None:
    await record.attempt("push", 1, activity="2").say("started")
    await record.attempt("push", 1, activity="2").say("interrupted", outcome="reset")
    await record.attempt("build", 1).say("started")
    await record.attempt("build", 2, 2).say("started")
    assert (await record.step("build"))["round"] == 1


async def test_a_plan_publishes_its_own_snapshot_only(pool: asyncpg.Pool) -> None:
    for _ in range(2):
        record = await Record(pool).plan(build=1)
        [message] = record.published.messages
        assert message["data"]["project"]["id"] == record.project_id


async def test_a_start_of_an_open_project_tells_only_the_start(record: Record) -> None:
    await record.attempt("build", 1).say("started")
    assert await record.actions() == ["planned", "started"]


# The plan


async def test_a_project_without_steps_has_no_steps_and_no_points(pool: asyncpg.Pool) -> None:
    record = await Record(pool).plan()
    assert (await record.project())["points_total"] == 0
    [planned] = await record.events()
    assert planned["payload"]["steps"] == []


async def test_a_repeated_plan_has_one_answer(record: Record, pool: asyncpg.Pool) -> None:
    said = await pool.fetch(
        "SELECT said FROM stepway_plan_v3(jsonb_build_object('id', $1::text), '[]', NULL)",
        record.project_id,
    )
    assert [row["said"] for row in said] == ["repeat"]


async def test_a_plan_written_twice_at_once_is_a_repeat_and_no_taken_name(
    pool: asyncpg.Pool,
) -> None:
    record = Record(pool)
    new = new_initialization(record.project_id, {"build": 1})
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute(
                """INSERT INTO projects (id, name, owner, blueprint, workflow_id, run_id, version,
                                         points_total, created_at, updated_at)
                   VALUES ($1, $2, $3, 'test', 'w', 'r', 1, 100, now(), now())""",
                new.project_id,
                new.name,
                new.owner,
            )
            waiting = asyncio.create_task(record.store.initialize_steps_in_database(new))
            await asyncio.wait([waiting], timeout=0.2)
            assert not waiting.done()
        assert await waiting is False
        await connection.execute("DELETE FROM projects WHERE id = $1", record.project_id)


# Starts


async def test_the_kept_result_is_found_behind_an_attempt_without_one(record: Record) -> None:
    await failing(record)
    second = record.attempt("build", 2, 2)
    await second.say("started")
    await second.say("completed", result=RESULT)
    assert await record.attempt("build", 3, 3).outcome("started") == Outcome("kept", RESULT)


async def test_an_attempt_that_another_one_replaces_is_lost_and_says_so(record: Record) -> None:
    await record.attempt("build", 1).say("started")
    await record.attempt("build", 2, 2).say("started")
    lost, running = await record.attempts("build")
    assert lost["outcome"] == "lost" and "stopped reporting" in lost["error"]
    assert lost["ended_at"] == running["started_at"]


async def test_a_start_in_another_run_begins_the_step_from_nothing(record: Record) -> None:
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.say("attempt_failed", error="no luck", metadata=PASSING)
    await attempt.say("completed", result=RESULT, metadata={"url": "x"})
    before = await record.step("build")
    await record.attempt("build", 5, run="run-2").say("started")
    row = await record.step("build")
    assert row["started_at"] > before["completed_at"]
    assert row["updated_at"] == row["started_at"]
    assert row["completed_at"] is row["duration"] is None
    assert row["metadata"] == {"url": "x"}


async def test_the_last_error_is_shown_during_the_attempts_of_its_round_only(
    record: Record,
) -> None:
    await failing(record, metadata=PASSING)
    await record.attempt("build", 2, 2).say("started")
    assert (await record.step("build"))["metadata"] == {"last_error": "no luck"}
    await record.attempt("build", 3, activity="2").say("started")
    assert (await record.step("build"))["metadata"] == {}


async def test_a_retried_step_whose_attempts_are_counted_on_has_a_start(record: Record) -> None:
    await failing(record)
    await record.workflow(2, StepChange("build", "retried"))
    await record.attempt("build", 3, 2).say("started")
    row = await record.step("build")
    assert row["round"] == 1 and row["started_at"] == row["updated_at"]


async def test_a_change_without_a_fence_leaves_the_fence(record: Record) -> None:
    await record.attempt("build", 5).say("started")
    unfenced = StepChange("build", "started", run_id="run-1", activity_id="1", attempt=2)
    assert (await record.store.update_step_status(record.project_id, unfenced)).said == "applied"
    assert await record.attempt("build", 3, 3).say("started") == "superseded"
    slow = StepChange("build", "slow")
    assert (await record.store.update_step_status(record.project_id, slow)).said == "applied"
    assert await record.attempt("build", 3, 4).say("started") == "superseded"


# What a change of a step sets


async def test_an_attempt_keeps_its_error_and_its_stack(record: Record) -> None:
    await failing(record)
    [attempt] = await record.attempts("build")
    assert (attempt["error"], attempt["error_stack"]) == ("no luck", "Traceback")


@pytest.mark.parametrize("action", ["slow", "undo_started", "undo_failed"])
async def test_a_remark_on_a_running_step_changes_nothing_else(record: Record, action: str) -> None:
    await failing(record, metadata={"reason": "kept", "slow": True})
    await record.attempt("build", 2, 2).say("started")
    await record.attempt("build", 2, 2).progress(40, "half way", part("x", 50))
    marked = StepChange("build", "slow", metadata={"slow": True, "reason": "kept"})
    await record.workflow(2, marked)
    before, x = await record.step("build"), await record.step("build.x")
    assert await record.workflow(2, StepChange("build", action)) == ["applied"]
    after = await record.step("build")
    assert after["updated_at"] > before["updated_at"]
    assert after == {**before, "updated_at": after["updated_at"]}
    assert await record.step("build.x") == x
    assert (await record.attempts("build"))[-1]["ended_at"] is None


async def test_a_pause_keeps_the_error_and_the_progress(record: Record) -> None:
    await failing(record)
    await record.workflow(2, StepChange("build", "paused", outcome="paused"))
    row = await record.step("build")
    assert (row["error"], row["error_stack"], row["progress"]) == ("no luck", "Traceback", 40)
    assert (row["message"], row["status"]) == ("half way", "running")


@pytest.mark.parametrize("action", ["completed", "skipped", "retried"])
async def test_success_skip_and_retry_clear_the_error(record: Record, action: str) -> None:
    await failing(record)
    await record.workflow(2, StepChange("build", "failed", error="no luck at all"))
    await record.workflow(3, StepChange("build", action))
    row = await record.step("build")
    assert row["error"] is row["error_stack"] is None


@pytest.mark.parametrize(
    ("action", "left"),
    [
        ("completed", {"reason", "skipped_by", "slow", "undo"}),
        ("skipped", {"reason", "skipped_by", "slow", "undo"}),
        ("failed", {"reason", "remedy", "skipped_by", "slow", "undo"}),
        ("retried", set()),
        ("undo_started", set(PASSING)),
    ],
)
async def test_each_action_ends_what_its_metadata_said(
    record: Record, action: str, left: set[str]
) -> None:
    await failing(record, metadata={"url": "x", **PASSING})
    await record.workflow(2, StepChange("build", action))
    assert set((await record.step("build"))["metadata"]) == {"url", *left}


async def test_a_retry_takes_the_step_back_to_its_beginning(record: Record) -> None:
    await failing(record)
    await record.workflow(2, StepChange("build", "failed", error="no luck"))
    failed = await record.step("build")
    assert failed["duration"] is not None and failed["message"] == "half way"
    assert (await record.project())["points"] == 80
    await record.workflow(3, StepChange("build", "retried"))
    row = await record.step("build")
    assert (row["status"], row["progress"]) == ("pending", 0)
    assert row["started_at"] is row["completed_at"] is row["duration"] is row["message"] is None
    assert (await record.project())["points"] == 0


async def test_an_undo_leaves_when_the_step_ran(record: Record) -> None:
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.say("completed", result=RESULT)
    ran = ("started_at", "completed_at", "duration", "progress", "status")
    before = await record.step("build")
    await record.workflow(2, StepChange("build", "undo_started"))
    await record.workflow(3, StepChange("build", "undone"))
    undone = await record.step("build")
    assert undone["undone_at"]
    await record.workflow(4, StepChange("build", "undo_failed"))
    after = await record.step("build")
    assert [after[name] for name in ran] == [before[name] for name in ran]
    assert after["undone_at"] == undone["undone_at"]


async def test_a_change_may_bring_a_message(record: Record) -> None:
    await failing(record)
    await record.workflow(2, StepChange("build", "skipped", message="not needed"))
    assert (await record.step("build"))["message"] == "not needed"


async def test_progress_without_a_message_keeps_the_one_before(record: Record) -> None:
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.progress(10, "half way")
    await attempt.progress(20)
    row = await record.step("build")
    assert (row["progress"], row["message"]) == (20, "half way")


async def test_a_change_moves_the_time_of_the_project(record: Record) -> None:
    before = (await record.project())["updated_at"]
    await record.attempt("build", 1).say("started")
    assert (await record.project())["updated_at"] > before


# A workflow that takes a step for failed


async def test_a_step_that_waits_for_its_retry_can_be_called_failed(record: Record) -> None:
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.say("completed", result=RESULT)
    await record.workflow(2, StepChange("build", "retried"))
    assert await record.workflow(3, StepChange("build", "failed")) == ["applied"]


async def test_a_result_of_another_step_keeps_nothing(record: Record) -> None:
    push = record.attempt("push", 1, activity="2")
    await push.say("started")
    await push.say("completed", result=RESULT)
    await record.attempt("build", 1).say("started")
    await record.workflow(2, StepChange("build", "skipped"))
    assert await record.workflow(3, StepChange("build", "failed")) == ["applied"]


async def test_details_of_an_error_are_kept_with_the_attempt_and_the_step(record: Record) -> None:
    details = {"exit_status": 1}
    await failing(record, error_details=details)
    assert (await record.attempts("build"))[0]["error_details"] == details
    assert (await record.step("build"))["metadata"] == {"error_details": details}


# Parts


async def test_the_end_of_a_step_ends_a_part_where_it_is(record: Record) -> None:
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.progress(10, "", part("x", 50))
    begun = await record.step("build.x")
    await attempt.say("failed", error="no luck")
    ended, step = await record.step("build.x"), await record.step("build")
    assert (ended["status"], ended["progress"]) == ("failed", 50)
    assert ended["completed_at"] == ended["updated_at"] == step["completed_at"]
    assert ended["duration"] is not None and ended["started_at"] == begun["started_at"]


async def test_a_part_of_the_next_attempt_begins_from_nothing(record: Record) -> None:
    attempt = record.attempt("build", 1)
    await attempt.say("started")
    await attempt.progress(10, "", part("x", 50), part("y", 50))
    await attempt.say("failed", error="no luck")
    await with_error(record, "build.x")
    await record.workflow(2, StepChange("build", "retried"))
    reset, step = await record.step("build.x"), await record.step("build")
    assert (reset["status"], reset["progress"]) == ("pending", 0)
    assert reset["started_at"] is reset["completed_at"] is reset["duration"] is None
    assert reset["error"] is None and reset["updated_at"] == step["updated_at"]


async def test_a_part_that_ended_with_its_attempt_runs_again_when_it_is_named(
    record: Record,
) -> None:
    first = record.attempt("build", 1)
    await first.say("started")
    await first.progress(10, "", part("x", 50))
    await first.say("failed", error="no luck")
    await with_error(record, "build.x")
    # A worker of an earlier version left the part as it ended.
    ended = await record.step("build.x")
    await record.attempt("build", 2, activity="2").say("started")
    await record.pool.execute(
        """UPDATE project_initialization_steps SET status = 'failed', started_at = $2,
                  completed_at = $2, duration = 1, error = 'no luck', progress = 50
           WHERE project_id = $1 AND step = 'build.x'""",
        record.project_id,
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    await record.attempt("build", 2, activity="2").progress(10, "", part("x", 20))
    row = await record.step("build.x")
    assert (row["status"], row["progress"], row["attempt"], row["round"]) == ("running", 20, 1, 2)
    assert row["started_at"] == row["updated_at"] > ended["completed_at"]
    assert row["completed_at"] is row["duration"] is row["error"] is None


async def test_a_part_belongs_to_the_attempt_that_named_it_last(record: Record) -> None:
    await record.attempt("build", 1).say("started")
    await record.attempt("build", 1).progress(10, "", part("x", 50))
    await record.attempt("build", 2, 2).say("started")
    await record.attempt("build", 2, 2).progress(10, "", part("x", 10))
    before = await record.step("build.x")
    assert (before["attempt"], before["round"], before["progress"]) == (2, 1, 10)
    await record.attempt("build", 2, 2).progress(10, "", part("x", 60))
    after = await record.step("build.x")
    assert (after["progress"], after["started_at"]) == (60, before["started_at"])
    assert after["updated_at"] > before["updated_at"]


async def with_error(record: Record, step: str) -> None:
    """Give a part an error, as a later version may."""
    await record.pool.execute(
        """UPDATE project_initialization_steps SET error = 'no luck'
           WHERE project_id = $1 AND step = $2""",
        record.project_id,
        step,
    )


# The project


async def test_a_change_of_the_project_sets_what_it_names_and_nothing_else(record: Record) -> None:
    await record.workflow(1, action="failed", status="failed", error="no luck")
    before = await record.project()
    assert before["initialization_error"] == "no luck"
    await record.workflow(2, action="changed", parameters={"size": 2})
    changed = await record.project()
    assert (changed["parameters"], changed["status"]) == ({"size": 2}, "failed")
    assert (changed["initialization_error"], changed["run_id"]) == ("no luck", "run-1")
    await record.workflow(3, action="continued", run_id="run-2")
    continued = await record.project()
    assert (continued["run_id"], continued["parameters"]) == ("run-2", {"size": 2})
    await record.workflow(4, action="resumed", status="initializing")
    assert (await record.project())["initialization_error"] is None


async def test_the_outcome_of_a_rollback_stays_until_the_next_status(record: Record) -> None:
    outcome = {"steps": 2, "rolled_back": 1, "failed": 0, "without": 1}
    await record.workflow(1, action="cancelled", status="cancelled", rollback=outcome)
    await record.workflow(2, action="changed", parameters={})
    assert (await record.project())["rollback"] == outcome
    await record.workflow(3, action="retried", status="initializing")
    assert (await record.project())["rollback"] is None


async def test_an_end_stays_when_another_status_follows(record: Record) -> None:
    await record.workflow(1, action="ended", status="failed", ends=True)
    ended = (await record.project())["initialization_completed_at"]
    await record.workflow(2, action="cancelled", status="cancelled")
    assert (await record.project())["initialization_completed_at"] == ended


async def test_the_projects_fence_never_goes_back(record: Record, pool: asyncpg.Pool) -> None:
    assert await record.workflow(5, action="failed", status="failed") == ["applied"]
    unfenced = [{"action": "cancelled", "status": "cancelled"}]
    row = await pool.fetchrow(
        "SELECT outcomes FROM stepway_record_v3($1, $2::jsonb)",
        record.project_id,
        json.dumps(unfenced),
    )
    assert json.loads(row["outcomes"]) == [{"said": "applied"}]
    assert (await record.actions())[-1] == "cancelled"
    assert await record.workflow(4, action="failed", status="failed") == ["superseded"]
    fence = (await record.project())["fence"]
    assert datetime.fromisoformat(fence) == datetime.fromisoformat(at(5))
    assert await record.workflow(7, action="failed", status="failed") == ["applied"]
    assert await record.workflow(6, action="failed", status="failed") == ["superseded"]


async def test_a_duration_has_an_upper_bound(pool: asyncpg.Pool) -> None:
    early, late = datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert await pool.fetchval("SELECT stepway_milliseconds_v3($1, $2)", early, late) == 2**31 - 1


HOUR = 3_600_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT_11, AT_10, AT_13 = (NOON.replace(hour=hour) for hour in (11, 10, 13))


@pytest.mark.parametrize(
    ("status", "waiting_since", "completed_at", "idle"),
    [
        ("initializing", AT_11, AT_10, 0),
        ("failed", AT_11, None, HOUR),
        ("failed", AT_11, AT_10, HOUR),
        ("active", None, AT_10, 2 * HOUR),
        ("failed", None, None, 0),
        ("failed", AT_13, None, 0),
        ("failed", NOON.replace(hour=11, minute=59, second=59, microsecond=998_000), None, 2),
    ],
)
async def test_project_is_idle_since_it_waits_or_else_since_its_end(
    pool: asyncpg.Pool,
    status: str,
    waiting_since: datetime | None,
    completed_at: datetime | None,
    idle: int,
) -> None:
    query = "SELECT stepway_idle_v3($1, $2, $3, $4)"
    assert await pool.fetchval(query, status, waiting_since, completed_at, NOON) == idle


@pytest.mark.parametrize(
    ("status", "completed_at", "undecided"),
    [
        ("failed", AT_11, HOUR),
        ("completed", AT_11, 0),
        ("failed", None, 0),
        ("failed", AT_13, 0),
        ("failed", NOON.replace(hour=11, minute=59, second=59, microsecond=998_000), 2),
    ],
)
async def test_step_is_undecided_since_it_failed(
    pool: asyncpg.Pool, status: str, completed_at: datetime | None, undecided: int
) -> None:
    row = {"status": status, "completed_at": completed_at and completed_at.isoformat()}
    query = """SELECT stepway_undecided_v3(
                 jsonb_populate_record(NULL::project_initialization_steps, $1::jsonb), $2)"""
    assert await pool.fetchval(query, json.dumps(row), NOON) == undecided
