"""The board: the state of each step in the workflow's memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from stepway.workflows.engine.board import Board, default_text
from stepway.workflows.model.messages import Continued, Resumed
from stepway.workflows.model.plan import Plan, PlannedStep

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

STEPS = [
    PlannedStep("a", {"en": "Step A"}, "noop"),
    PlannedStep("b", {"en": "Step B"}, "noop", needs=["a"]),
    PlannedStep("c", {"en": "Step C"}, "noop", needs=["b"]),
]
PLAN = Plan("test", {"en": "Test"}, STEPS, 60.0)


def board(**resumed: Any) -> Board:
    """Return a board of a new or resumed initialization."""
    given = {"states": {}, "results": {}, "errors": {}, **resumed} if resumed else None
    return Board(PLAN, Resumed(**given) if given else None, lambda: NOON)


def test_every_change_wakes_the_workflow_and_keeps_its_time() -> None:
    it = board()
    for change in (
        lambda: it.start("a"),
        lambda: it.fail("a", "no"),
        lambda: it.reset("a"),
        lambda: it.complete("a", 1),
        lambda: it.skip("b"),
    ):
        it.changed = False
        change()
        assert it.changed
    assert it.states == {"a": "completed", "b": "skipped", "c": "pending"}
    assert it.since == {"a": NOON, "b": NOON}


def test_each_start_is_another_round_and_names_its_changes() -> None:
    it = board()
    it.start("a")
    it.fail("a", "no")
    assert it.change_id("a", "failed") == "a/1/failed"
    it.reset("a")
    it.start("a")
    assert it.change_id("a", "failed") == "a/2/failed"


def test_reset_forgets_what_the_step_returned_and_why_it_failed() -> None:
    it = board()
    it.complete("a", {"x": 1})
    it.fail("b", "no")
    assert (it.results, it.errors, it.finished) == ({"a": {"x": 1}}, {"b": "no"}, ["a"])
    it.reset("a")
    it.reset("b")
    assert (it.results, it.errors, it.finished) == ({}, {}, [])


def test_skipped_step_has_no_error_any_more() -> None:
    it = board()
    it.fail("a", "no")
    it.skip("a")
    assert (it.errors, it.states["a"]) == ({}, "skipped")


@pytest.mark.parametrize(("absent", "omits"), [("omitted", True), ("null", False)])
def test_plan_says_whether_absent_values_are_left_out(absent: str, omits: bool) -> None:
    it = board()
    it.replace_plan(replace(PLAN, absent=absent))
    assert it.omits_absent is omits


def test_retry_of_all_takes_all_that_is_left_after_the_end() -> None:
    it = board(states={"a": "skipped", "b": "failed", "c": "pending"})
    assert it.retried_by_all(ended=False) == ["b"]
    assert it.retried_by_all(ended=True) == ["a", "b", "c"]


def test_failures_are_told_a_line_a_step() -> None:
    it = board()
    it.fail("a", "no key")
    it.fail("c", "no host")
    assert it.failures() == "Step A: no key\nStep C: no host"


def test_resumed_board_stands_as_the_rows_do() -> None:
    it = board(
        states={"a": "completed", "b": "failed", "c": "skipped"},
        results={"a": 7},
        errors={"b": "no"},
    )
    assert it.states == {"a": "completed", "b": "failed", "c": "skipped"}
    assert (it.results, it.errors, it.finished) == ({"a": 7}, {"b": "no"}, ["a"])


def test_retry_resets_the_rows_of_ended_steps_only() -> None:
    it = board()
    it.complete("a", 1)
    it.fail("b", "no")
    assert it.runs_again(["b"]) == (["b", "c"], ["b"])


def test_retry_after_an_undo_resets_the_rows_of_undone_steps() -> None:
    it = board(states={"a": "pending", "b": "failed", "c": "pending"}, reopened=["a", "c"])
    assert it.runs_again(["b"]) == (["a", "b", "c"], ["a", "b", "c"])
    for step in ("a", "b", "c"):
        it.reset(step)
    assert it.reopened == set()


def test_english_goes_before_other_languages() -> None:
    assert default_text({"zh": "步骤", "en": "Step"}) == "Step"
    assert default_text({"zh": "步骤"}) == "步骤"
    assert default_text({}) == ""


def test_board_of_a_run_that_continues_stands_as_the_earlier_one_did() -> None:
    stood = Resumed(
        {"a": "completed", "b": "completed", "c": "failed"},
        {"b": 2},
        {"c": "no"},
        kept=["a"],
    )
    since = {"a": "2026-01-01T00:00:00+00:00", "b": "2026-01-01T00:01:00+00:00"}
    rounds = {"a": 1, "b": 1, "c": 4}
    continued = Continued(stood, rounds, ["b", "a"], since, "failed", 3, since["a"])
    it = Board(PLAN, None, lambda: NOON, continued)
    assert it.states == stood.states
    assert (it.finished, it.rounds, it.kept) == (["b", "a"], rounds, {"a"})
    assert it.since == {step: datetime.fromisoformat(at) for step, at in since.items()}
    assert it.change_id("c", "failed") == "c/4/failed"
    it.remember("a", {"x": 1})
    assert (it.results["a"], it.kept) == ({"x": 1}, set())


def test_reset_step_reads_no_result_from_the_record_any_more() -> None:
    it = board(states={"a": "completed"}, kept=["a"])
    it.reset("a")
    assert it.kept == set()
