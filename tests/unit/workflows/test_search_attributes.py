"""Search attributes and details in Temporal's tools."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from stepway.workflows.engine.board import Board
from stepway.workflows.engine.search_attributes import (
    LONGEST_ERROR,
    MOST_BYTES,
    capped,
    cell,
    steps_table,
)
from stepway.workflows.model.plan import Plan, PlannedStep

STEPS = [PlannedStep("a", {"en": "A | B"}, "noop"), PlannedStep("c", {"zh": "步骤"}, "noop")]


def table() -> Board:
    """A board of two steps."""
    plan = Plan("t", {"en": "T"}, STEPS, 1.0)
    return Board(plan, None, lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_table_has_a_row_a_step_with_state_round_time_and_error() -> None:
    board = table()
    board.start("a")
    board.fail("a", "no | key\nat all")
    header, _, first, second = steps_table(board).splitlines()
    assert header == "| | step | state | round | since | error |"
    assert first == "| ✖ | A \\| B | failed | 1 | 2026-01-02 03:04:05 | no \\| key at all |"
    assert second == "| · | 步骤 | pending |  |  |  |"


def test_cell_cannot_break_out_of_the_table_or_become_html() -> None:
    assert cell("a|b\nc <img>") == "a\\|b c &lt;img>"
    assert len(cell("x" * 1000)) == LONGEST_ERROR + 1
    cut = cell("first " + "|" * 1000 + " the cause")
    assert cut.startswith("first ") and cut.endswith(" the cause")
    assert "|" not in cut.replace("\\|", "")


@given(st.lists(st.text(st.sampled_from("abc_"), min_size=1, max_size=63), max_size=600))
def test_capped_steps_fit_and_count_those_left_out(steps: list[str]) -> None:
    shown = capped(steps)
    assert len(json.dumps(shown).encode()) <= MOST_BYTES
    if shown != steps:
        names, more = shown[:-1], shown[-1]
        assert names == steps[: len(names)]
        assert more == f"+{len(steps) - len(names)} more"


def test_as_many_steps_are_shown_as_fit() -> None:
    steps = ["x" * 63] * 200
    shown = capped(steps)
    assert len(json.dumps([*shown, steps[0]]).encode()) > MOST_BYTES
    assert capped(steps[:20]) == steps[:20]
