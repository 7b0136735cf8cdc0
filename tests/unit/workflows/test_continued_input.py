"""The input of the next run fits into Temporal's limit and has all that the run needs."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import cast

import pytest

from stepway.workflows.engine import continuing
from stepway.workflows.engine.board import Board
from stepway.workflows.engine.continuing import continued_input
from stepway.workflows.engine.decisions import Decisions
from stepway.workflows.model.fitting import size_of
from stepway.workflows.model.messages import Continued, InitializationInput, Resumed
from stepway.workflows.model.plan import Plan, PlannedStep
from stepway_tracking.workflow.recording import WorkflowRecord

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LIMIT = 20_000
PLAN = Plan("test", {"en": "Test"}, [PlannedStep(step, {"en": step}, "noop") for step in "ab"], 60)
GIVEN = InitializationInput(
    project_id="p", name="shop", owner="alice", plan=PLAN, parameters={"v": "old"},
    definition={"name": "test"}, request_hash="", deadline="", actor="alice",
)  # fmt: skip


def board_with(result: str, error: str = "no") -> Board:
    """A board on which one step has this result and the other one has failed."""
    board = Board(PLAN, None, lambda: NOON)
    for step in "ab":
        board.start(step)
    board.complete("a", result)
    board.fail("b", error)
    return board


def next_input(board: Board) -> InitializationInput:
    """The input of the next run, after three decisions and with new parameters."""
    record = cast(WorkflowRecord, None)
    decisions = Decisions(board, record, {"v": "new"}, awaited=False, count=3)
    return continued_input(GIVEN, board, decisions, "failed", "2026-01-02T11:00:00+00:00")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> int:
    """The bytes that results and errors have together."""
    monkeypatch.setattr(continuing, "LARGEST_INPUT", LIMIT)
    return LIMIT - size_of(asdict(replace(next_input(board_with("")), continued=None)))


def test_next_run_knows_all_and_reads_the_blueprint_from_the_record() -> None:
    going_on = next_input(board_with("made"))
    assert (going_on.parameters, going_on.definition, going_on.resumed) == ({"v": "new"}, {}, None)
    since = NOON.isoformat()
    assert going_on.continued == Continued(
        Resumed({"a": "completed", "b": "failed"}, {"a": "made"}, {"b": "no"}, [], []),
        {"a": 1, "b": 1},
        ["a"],
        {"a": since, "b": since},
        "failed",
        3,
        "2026-01-02T11:00:00+00:00",
    )


def test_result_that_an_earlier_run_has_left_in_the_record_stays_there() -> None:
    resumed = Resumed({"a": "completed", "b": "failed"}, {}, {"b": "no"}, ["b"], ["a"])
    stood = next_input(Board(PLAN, resumed, lambda: NOON)).continued.stood  # type: ignore[union-attr]
    assert (stood.kept, stood.reopened) == (["a"], ["b"])


def test_results_have_half_of_the_room_and_others_stay_in_the_record(room: int) -> None:
    fits = "x" * (room // 2 - size_of({"a": ""}))
    stood = next_input(board_with(fits)).continued.stood  # type: ignore[union-attr]
    assert (stood.results, stood.kept) == ({"a": fits}, [])
    stood = next_input(board_with(fits + "x")).continued.stood  # type: ignore[union-attr]
    assert (stood.results, stood.kept) == ({}, ["a"])


def test_errors_have_a_quarter_of_the_room_and_are_cut(room: int) -> None:
    fits = "x" * (room // 4 // 6)
    stood = next_input(board_with("", fits)).continued.stood  # type: ignore[union-attr]
    assert stood.errors == {"b": fits}
    stood = next_input(board_with("", fits + "x")).continued.stood  # type: ignore[union-attr]
    assert stood.errors == {"b": fits + "…"}
