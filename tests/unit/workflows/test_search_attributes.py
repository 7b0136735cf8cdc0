"""Search attributes and details in Temporal's tools."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.common import (
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from stepway.workflows.engine.board import Board
from stepway.workflows.engine.search_attributes import (
    LONGEST_ERROR,
    MOST_BYTES,
    TEMPORALS_LIMIT,
    OperatorsView,
    bytes_of,
    capped,
    cell,
    heading,
    steps_table,
)
from stepway.workflows.model.messages import InitializationInput
from stepway.workflows.model.plan import Plan, PlannedStep
from stepway_tracking.workflow.search_attributes import STATUS
from stepway_tracking.workflow.search_attributes import STEPS as SHOWN_STEPS

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


def test_each_state_has_its_sign() -> None:
    board = table()
    signs = []
    for change in (
        lambda: board.start("a"),
        lambda: board.complete("a", None),
        lambda: board.fail("a", "no"),
        lambda: board.skip("a"),
        lambda: board.reset("a"),
    ):
        change()
        signs.append(steps_table(board).splitlines()[2][2])
    assert signs == ["▶", "✔", "✖", "⤼", "·"]


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


@pytest.mark.parametrize("length", range(1, 64))
def test_as_many_steps_are_shown_as_fit(length: int) -> None:
    shown = capped(["x" * length] * 600)
    assert bytes_of(shown) <= MOST_BYTES < bytes_of([*shown, "x" * length])


def names_of(size: int) -> list[str]:
    """Names that have this size together."""
    names = [f"{place:060}" for place in range(size // 64 - 1)]
    return [*names, "x" * (size - bytes_of([*names, ""]))]


def test_steps_that_just_fit_are_all_shown() -> None:
    names = names_of(MOST_BYTES)
    assert bytes_of(names) == MOST_BYTES
    assert capped(names) == names
    assert capped([*names[:-1], names[-1] + "x"]) != names
    shown = capped(["x" * 44] * 60)
    assert bytes_of(shown) == MOST_BYTES
    assert shown == [*["x" * 44] * 31, "+29 more"]


class Temporal:
    """What the view uses of Temporal's `workflow`; the test moves the clock."""

    def __init__(self, **at_start: Any) -> None:
        self.time = datetime(2026, 1, 2, tzinfo=UTC)
        self.details = ""
        self.told: list[dict[str, Any]] = []
        self.has_patch = True
        self.slept: list[float] = []
        self._woken = asyncio.Event()
        pairs = [SearchAttributePair(STATUS, at_start["status"])] if at_start else []
        if at_start:
            pairs.append(SearchAttributePair(SHOWN_STEPS, at_start["steps"]))  # type: ignore[arg-type]
        self._at_start = TypedSearchAttributes(pairs)

    def now(self) -> datetime:
        return self.time

    def info(self) -> Any:
        return SimpleNamespace(typed_search_attributes=self._at_start)

    def patched(self, patch: str) -> bool:
        return self.has_patch

    def set_current_details(self, details: str) -> None:
        self.details = details

    def upsert_search_attributes(self, updates: Sequence[SearchAttributeUpdate[Any]]) -> None:
        self.told.append({update.key.name: update.value for update in updates})

    async def sleep(self, time: timedelta) -> None:
        self.slept.append(time.total_seconds())
        await self._woken.wait()
        self._woken.clear()
        self.time += time

    async def pass_time(self) -> None:
        """End the sleep."""
        self._woken.set()
        for _ in range(5):
            await asyncio.sleep(0)


def seen_as(status: str, *steps: str) -> dict[str, Any]:
    """The search attributes with these values."""
    return {STATUS.name: status, SHOWN_STEPS.name: [*steps]}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Temporal:
    found = Temporal()
    monkeypatch.setattr("stepway.workflows.engine.search_attributes.workflow", found)
    return found


async def test_status_and_failures_are_told_at_once(told: Temporal) -> None:
    board, view = table(), OperatorsView(5.0)
    view.show("initializing", board)
    board.start("a")
    board.fail("a", "no")
    view.show("initializing", board)
    view.show("failed", board)
    assert told.told == [
        seen_as("initializing"),
        seen_as("initializing", "a"),
        seen_as("failed", "a"),
    ]


async def test_same_values_are_told_once(told: Temporal) -> None:
    board, view = table(), OperatorsView(5.0)
    for _ in range(3):
        view.show("initializing", board)
        told.time += timedelta(minutes=1)
    assert len(told.told) == 1


async def test_steps_that_merely_run_are_told_after_the_pause_as_they_are_then(
    told: Temporal,
) -> None:
    board, view = table(), OperatorsView(5.0)
    view.show("initializing", board)
    told.time += timedelta(seconds=2)
    board.start("a")
    view.show("initializing", board)
    await asyncio.sleep(0)
    board.complete("a", None)
    board.start("c")
    view.show("initializing", board)
    await asyncio.sleep(0)
    assert len(told.told) == 1 and told.slept == [3.0]
    await told.pass_time()
    assert told.told[1:] == [seen_as("initializing", "c")]
    board.complete("c", None)
    view.show("initializing", board)
    await asyncio.sleep(0)
    assert told.slept == [3.0, 5.0]
    await told.pass_time()
    assert told.told[2:] == [seen_as("initializing")]


async def test_values_that_were_told_meanwhile_are_not_told_again_after_the_pause(
    told: Temporal,
) -> None:
    board, view = table(), OperatorsView(5.0)
    view.show("initializing", board)
    board.start("a")
    view.show("initializing", board)
    await asyncio.sleep(0)
    view.show("stopping", board)
    await told.pass_time()
    assert told.told[1:] == [seen_as("stopping", "a")]


async def test_step_that_runs_longer_after_the_last_write_is_told_at_once(
    told: Temporal,
) -> None:
    board, view = table(), OperatorsView(None)
    view.show("initializing", board)
    told.time += timedelta(seconds=1)
    board.start("a")
    view.show("initializing", board)
    assert told.told[1:] == [seen_as("initializing", "a")] and told.slept == []


@pytest.mark.parametrize(("pause", "told"), [(5.0, []), (None, [seen_as("initializing")])])
async def test_what_the_start_has_set_is_not_told_again(
    monkeypatch: pytest.MonkeyPatch, pause: float | None, told: list[Any]
) -> None:
    api = Temporal(status="initializing", steps=[])
    monkeypatch.setattr("stepway.workflows.engine.search_attributes.workflow", api)
    OperatorsView(pause).show("initializing", table())
    assert api.told == told


async def test_steps_that_the_start_has_set_are_not_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = Temporal(status="initializing", steps=["a"])
    monkeypatch.setattr("stepway.workflows.engine.search_attributes.workflow", api)
    board, view = table(), OperatorsView(5.0)
    board.start("a")
    view.show("initializing", board)
    await asyncio.sleep(0)
    assert api.told == [] and api.slept == []


async def test_details_are_the_heading_and_the_table(told: Temporal) -> None:
    plan = Plan("a|b", {"en": "T"}, STEPS, 1.0)
    given = InitializationInput(
        project_id="p-1", name="<shop>", owner="alice", plan=plan, parameters={}, definition={},
        request_hash="", deadline="", actor="alice",
    )  # fmt: skip
    view = OperatorsView(5.0, heading(given))
    view.show("initializing", table())
    assert told.details == (
        "Project **&lt;shop>** of alice, blueprint a\\|b. Project id `p-1`.\n\n"
        + steps_table(table())
    )


def running(names: list[str]) -> Board:
    """A board of steps that all run, but the last has failed."""
    plan = Plan("t", {"en": "T"}, [PlannedStep(name, {"en": name}, "noop") for name in names], 1.0)
    board = Board(plan, None, lambda: datetime(2026, 1, 2, tzinfo=UTC))
    for name in names:
        board.start(name)
    board.fail(names[-1], "no")
    return board


async def test_of_too_many_steps_the_failed_ones_are_shown_first(told: Temporal) -> None:
    names = [f"{place:063}" for place in range(60)]
    OperatorsView(5.0).show("initializing", running(names))
    shown = told.told[0][SHOWN_STEPS.name]
    assert bytes_of(shown) <= MOST_BYTES
    assert shown[:3] == [names[-1], names[0], names[1]]
    assert shown[-1] == f"+{60 - len(shown) + 1} more"
    assert len(set(shown)) == len(shown)


@pytest.mark.parametrize(
    ("size", "has_patch", "whole"),
    [
        (MOST_BYTES, True, True),
        (MOST_BYTES + 1, True, False),
        (MOST_BYTES + 1, False, True),
        (TEMPORALS_LIMIT, False, True),
        (TEMPORALS_LIMIT + 1, False, False),
    ],
)
async def test_steps_are_whole_up_to_the_limit_which_was_higher_in_old_histories(
    told: Temporal, size: int, has_patch: bool, whole: bool
) -> None:
    told.has_patch = has_patch
    names = names_of(size)
    OperatorsView(5.0).show("initializing", running(names))
    assert (told.told[0][SHOWN_STEPS.name] == names) == whole
