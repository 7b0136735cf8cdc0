"""Which controls are possible in which state, and the texts of refusals."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from temporalio.exceptions import ApplicationError

from stepway.workflows.engine import rules
from stepway.workflows.engine.board import Board
from stepway.workflows.model.messages import Resumed
from stepway.workflows.model.plan import Plan, PlannedStep, StepStatus

STEPS = [
    PlannedStep("a", {"en": "A"}, "noop"),
    PlannedStep("b", {"en": "B"}, "noop", optional=True),
]


def board(state: StepStatus) -> Board:
    """A board whose steps both have this state."""
    resumed = Resumed({"a": state, "b": state}, {}, {})
    return Board(
        Plan("t", {"en": "T"}, STEPS, 1.0), resumed, lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )


def test_unknown_step_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(ApplicationError, match="Unknown step x; available steps: a, b") as refused:
        rules.must_know(board("failed"), "x")
    assert refused.value.type == "StepUnknown"


@pytest.mark.parametrize("state", ["pending", "running", "completed", "skipped"])
def test_step_that_has_not_failed_is_refused_with_its_state_and_what_is_possible(
    state: StepStatus,
) -> None:
    with pytest.raises(ApplicationError) as refused:
        rules.must_be_failed(board(state), "a", "retried")
    assert refused.value.type == "Refused"
    said, possible = refused.value.message.split(". ", 1)
    assert said == f"Only failed steps can be retried, but a is {state}"
    assert possible.endswith(".")


@pytest.mark.parametrize("state", ["pending", "skipped"])
def test_after_the_end_a_refusal_points_to_the_retry_of_all(state: StepStatus) -> None:
    with pytest.raises(ApplicationError, match="Retry the initialization"):
        rules.must_be_failed(board(state), "a", "retried", ended=True)


def test_completed_step_is_kept_after_the_end_too() -> None:
    with pytest.raises(ApplicationError, match="Completed steps are kept"):
        rules.must_be_failed(board("completed"), "a", "retried", ended=True)


def test_unknown_step_cannot_be_retried() -> None:
    with pytest.raises(ApplicationError) as refused:
        rules.must_be_failed(board("failed"), "x", "retried")
    assert refused.value.type == "StepUnknown"


def test_failed_step_may_be_retried_and_skipped_where_it_is_optional() -> None:
    rules.must_be_failed(board("failed"), "a", "retried")
    rules.must_be_optional(board("failed"), "b")
    with pytest.raises(ApplicationError, match="does not mark it as optional"):
        rules.must_be_optional(board("failed"), "a")


def test_nothing_to_retry_is_refused_with_the_state() -> None:
    rules.must_have_failures(["a"], "failed")
    with pytest.raises(ApplicationError, match="no step has failed, the initialization is init"):
        rules.must_have_failures([], "initializing")
