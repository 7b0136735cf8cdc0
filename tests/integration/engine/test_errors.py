"""No error is lost, and a step that the record calls completed stays completed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stepway.workflows.engine import ending
from stepway.workflows.engine.running import RunningSteps
from stepway.workflows.model.plan import LEFT_OUT, RetryPlan, UndoPlan
from stepway_tracking.workflow.marks import StepMark
from tests.support.scripted import UNDO, Stage, Troubles, a_plan, planned, undone_by_script

THREE = RetryPlan(maximum_attempts=3, initial_interval=1)


async def test_completed_step_stays_completed_where_its_answer_was_lost(stage: Stage) -> None:
    steps = [
        planned("a"),
        planned("b", needs=["a"], arguments={"from_a": "${{ steps.a.result.made }}"}),
    ]
    it = await stage.start(steps, {"a": ["ok lost"]})
    assert await it.closes() == "COMPLETED"
    assert await it.statuses() == {"a": "completed", "b": "completed"}
    assert await it.actions("a") == ["started", "completed"]
    assert it.script.seen["b"][0]["from_a"] == "a/1"


async def test_step_that_had_nothing_to_do_stays_skipped_where_its_answer_was_lost(
    stage: Stage,
) -> None:
    it = await stage.start([planned("a"), planned("b", needs=["a"])], {"a": ["skip lost"]})
    assert await it.closes() == "COMPLETED"
    assert await it.statuses() == {"a": "skipped", "b": "skipped"}


async def test_step_gets_its_arguments_and_its_project(stage: Stage) -> None:
    it = await stage.start([planned("a", arguments={"x": 1})])
    assert await it.closes() == "COMPLETED"
    project = {
        "id": it.project,
        "name": f"p-{it.project[:8]}",
        "owner": "alice",
        "blueprint": "test",
    }
    assert it.script.seen["a"] == [{"name": "a", "x": 1, "project": project}]


async def test_argument_without_a_value_is_null_or_left_out_as_the_plan_says(stage: Stage) -> None:
    made = "${{ steps.a.result.made }}"
    arguments = {"value": made, "list": ["x", made]}
    steps = [planned("a"), planned("b", after=["a"], arguments=arguments)]
    it = await stage.start(steps, {"a": ["skip"], "b": ["final", "ok"]})
    await it.until("failed")
    omitting = replace(a_plan(steps), absent="omitted")
    await it.retry("b", plan=omitting, parameters={})
    assert await it.closes() == "COMPLETED"
    null, left_out = it.script.seen["b"]
    assert (null["value"], null["list"]) == (None, ["x", None])
    assert "value" not in left_out and left_out["list"] == ["x"]
    assert LEFT_OUT not in null and left_out[LEFT_OUT] == {"list.1": "steps.a.result.made"}


async def test_only_a_step_with_a_heartbeat_timeout_is_limited_by_its_silence(
    stage: Stage,
) -> None:
    steps = [
        planned("a", undo=undone_by_script("a")),
        planned("b", needs=["a"], heartbeat=7.0, timeout=60.0, undo=undone_by_script("b")),
        planned("c", needs=["b"]),
    ]
    it = await stage.start(steps, {"c": ["final"]})
    await it.until("failed")
    await it.cancel(undo=True)
    assert await it.closes() == "CANCELED"
    limits = {}
    for event in (await it.handle.fetch_history()).events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            fields = event.activity_task_scheduled_event_attributes.header.fields
            mark = StepMark.of(fields)
            assert mark is not None
            limits[mark.step, mark.undo] = mark.heartbeat, mark.timeout
    assert limits == {
        ("a", False): (None, 600.0),
        ("b", False): (7.0, 60.0),
        ("c", False): (None, 600.0),
        ("b", True): (7.0, 60.0),
        ("a", True): (None, 600.0),
    }


async def test_step_that_completed_while_it_was_stopped_is_rolled_back(stage: Stage) -> None:
    it = await stage.start([planned("a", undo=undone_by_script("a"))], {"a": ["late lost"]})
    await it.until_step("a", "running")
    await it.cancel(undo=True)
    assert await it.closes() == "CANCELED"
    assert await it.actions("a") == ["started", "completed", "undo_started", "undone"]
    assert it.script.undone == ["a"]


async def test_result_that_looks_like_a_skip_is_a_result(stage: Stage) -> None:
    steps = [
        planned("a"),
        planned("b", needs=["a"], arguments={"number": "${{ steps.a.result.skipped }}"}),
    ]
    it = await stage.start(steps, {"a": ["imported"]})
    assert await it.closes() == "COMPLETED"
    assert await it.actions("a") == ["started", "completed"]
    assert it.script.seen["b"][0]["number"] == 3


async def test_step_that_had_nothing_to_do_is_skipped(stage: Stage) -> None:
    it = await stage.start([planned("a"), planned("b", needs=["a"])], {"a": ["skip"]})
    assert await it.closes() == "COMPLETED"
    assert await it.statuses() == {"a": "skipped", "b": "skipped"}


@pytest.mark.parametrize("others", [0, 2])
async def test_step_that_cannot_be_started_has_failed_with_the_reason(
    stage: Stage, others: int
) -> None:
    steps = [planned("a", timeout=1e15), *(planned(f"b{n}") for n in range(others))]
    it = await stage.start(steps)
    await it.until("failed")
    row = (await it.steps())["a"]
    assert row["status"] == "failed"
    assert "OverflowError" in row["error"]
    assert "remedy" not in (row["metadata"] or "")
    assert "OverflowError" in (await it.row())["initialization_error"]
    await it.cancel()
    assert await it.closes() == "CANCELED"


async def test_step_whose_task_is_gone_is_never_taken_as_done(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def vanish(self: RunningSteps, step: object) -> None:
        self._tasks.clear()
        self._board.changed = True

    monkeypatch.setattr(RunningSteps, "_run", vanish)
    it = await stage.start([planned("a")])
    await it.until("failed")
    assert "lost track" in (await it.steps())["a"]["error"]
    await it.cancel()
    assert await it.closes() == "CANCELED"


async def test_what_the_record_refuses_for_good_ends_the_initialization_with_the_reason(
    stage: Stage,
) -> None:
    troubles = Troubles(refused_action="failed")
    it = await stage.start([planned("a", timeout=1e15), planned("b")], {}, troubles)
    assert await it.closes() == "FAILED"
    row = await it.row()
    assert row["status"] == "failed"
    assert row["initialization_completed_at"] is not None
    assert "does not fit" in row["initialization_error"]


async def test_failed_step_is_not_rolled_back_and_people_are_told(stage: Stage) -> None:
    undo = undone_by_script
    steps = [planned("a", undo=undo("a")), planned("b", needs=["a"], undo=undo("b"))]
    it = await stage.start(steps, {"b": ["final"]})
    await it.until("failed")
    await it.cancel(undo=True)
    assert await it.closes() == "CANCELED"
    assert it.script.undone == ["a"]
    error = (await it.row())["initialization_error"]
    assert error.splitlines() == [
        "1 of 1 step rolled back.",
        "B had failed and was not rolled back: what it had made by then may still exist.",
    ]


async def test_failed_and_stopped_steps_with_a_partial_rollback_are_rolled_back_first(
    stage: Stage,
) -> None:
    steps = [
        planned("a", undo=undone_by_script("a")),
        planned("b", needs=["a"], undo=undone_by_script("b", partial=True)),
        planned("c", needs=["a"], undo=undone_by_script("c", partial=True)),
        planned("d", needs=["b"], undo=undone_by_script("d", partial=True)),
    ]
    it = await stage.start(steps, {"b": ["final"], "c": ["wait"]})
    await it.until_step("b", "failed")
    await it.until_step("c", "running")
    await it.cancel(undo=True)
    assert await it.closes() == "CANCELED"
    assert sorted(it.script.undone[:2]) == ["b", "c"]
    assert it.script.undone[2:] == ["a"]
    row = await it.row()
    assert row["initialization_error"] is None
    assert json.loads(row["rollback"]) == {"steps": 3, "rolled_back": 3, "failed": 0, "without": 0}
    found = await it.steps()
    assert [found[step]["status"] for step in "abcd"] == [
        "completed",
        "failed",
        "failed",
        "skipped",
    ]
    assert all(found[step]["undone_at"] for step in "abc")


async def test_undo_whose_arguments_are_wrong_does_not_keep_the_others_from_running(
    stage: Stage,
) -> None:
    steps = [
        planned("a", undo=undone_by_script("a")),
        planned("b", needs=["a"], undo=undone_by_script("b"), timeout=3600),
        planned("c", needs=["b"]),
    ]
    it = await stage.start(steps, {"c": ["final"], "undo b": ["final"]})
    await it.until("failed")
    await it.cancel(undo=True)
    assert await it.closes() == "CANCELED"
    assert it.script.undone == ["b", "a"]
    assert "B was not rolled back: It is in use." in (await it.row())["initialization_error"]


async def test_undo_that_cannot_be_started_is_recorded_as_failed(stage: Stage) -> None:
    undo = UndoPlan(UNDO, {"name": "${{ not a reference"})
    it = await stage.start([planned("a", undo=undo), planned("b", needs=["a"])], {"b": ["final"]})
    await it.until("failed")
    await it.cancel(undo=True)
    assert await it.closes() == "CANCELED"
    assert await it.actions("a") == ["started", "completed", "undo_failed"]
    row = await it.row()
    assert "A was not rolled back: " in row["initialization_error"]
    assert json.loads(row["rollback"])["failed"] == 1
    undone = json.loads((await it.steps())["a"]["metadata"])["undo"]
    assert undone["status"] == "failed" and "is not a reference" in undone["error"]


async def test_step_that_ignores_a_cancel_is_given_up_after_a_grace(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "GRACE", ending.timedelta(seconds=1))
    steps = [
        planned("a", undo=undone_by_script("a")),
        planned("b", needs=["a"], undo=undone_by_script("b")),
    ]
    it = await stage.start(steps, {"b": ["stubborn"]})
    await it.until_step("b", "running")
    await it.cancel(undo=True)
    await it.until("cancelled")
    row = (await it.steps())["b"]
    assert row["status"] == "failed"
    assert "did not stop within 1 s and was given up: it may still be running" in row["error"]
    assert it.script.undone == ["a"]
    assert "B had failed and was not rolled back" in (await it.row())["initialization_error"]
    it.script.released.set()
    assert await it.closes() == "CANCELED"
    assert (await it.statuses())["b"] == "failed"
