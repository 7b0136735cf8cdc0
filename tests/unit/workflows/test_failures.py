"""The text for people about a failed activity."""

from __future__ import annotations

import pytest
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    RetryState,
    TimeoutError,
    TimeoutType,
)

from stepway.workflows.engine.failures import (
    failure_outcome,
    failure_remedy,
    failure_text,
    rollback_failure_text,
    unexpected_text,
)
from stepway.workflows.model.plan import PlannedStep
from stepway_tracking.record.facts import ARGUMENTS_NOT_DECODED, ROLLBACK_TIMEOUT_REMEDY

STEP = PlannedStep("build", {"en": "Build"}, "command", {}, timeout=90.0, heartbeat=30.0)


def failed(cause: BaseException | None) -> ActivityError:
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="command",
        activity_id="1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    error.__cause__ = cause
    return error


def timed_out(kind: TimeoutType | None) -> TimeoutError:
    return TimeoutError("timed out", type=kind, last_heartbeat_details=[])


@pytest.mark.parametrize(
    ("cause", "text", "outcome"),
    [
        (
            timed_out(TimeoutType.HEARTBEAT),
            "The step sent no heartbeat for 30 s: its worker has stopped or does not respond.",
            "timed_out",
        ),
        (
            timed_out(TimeoutType.START_TO_CLOSE),
            "The step exceeded its time limit of 90 s.",
            "timed_out",
        ),
        (
            timed_out(TimeoutType.SCHEDULE_TO_START),
            "No worker started the step in time.",
            "timed_out",
        ),
        (timed_out(TimeoutType.SCHEDULE_TO_CLOSE), "The step did not end in time.", "timed_out"),
        (timed_out(None), "The step did not end in time.", "timed_out"),
        (ApplicationError("no such file"), "no such file", "failed"),
        (CancelledError("cancelled"), "The step was cancelled.", "cancelled"),
        (RuntimeError("something else"), "something else", "failed"),
        (None, "Activity task failed", "failed"),
    ],
)
def test_failure_is_told_by_its_cause(cause: BaseException | None, text: str, outcome: str) -> None:
    assert failure_text(failed(cause), STEP) == text
    assert failure_outcome(failed(cause)) == outcome


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        (timed_out(TimeoutType.START_TO_CLOSE), "raise its `timeout` in the blueprint"),
        (ApplicationError(ARGUMENTS_NOT_DECODED), "Retry with another value of the parameter"),
    ],
)
def test_a_failure_that_no_worker_has_recorded_has_a_remedy(
    cause: BaseException, remedy: str
) -> None:
    assert remedy in failure_remedy(failed(cause))


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (
            timed_out(TimeoutType.START_TO_CLOSE),
            f"The step exceeded its time limit of 90 s. {ROLLBACK_TIMEOUT_REMEDY}",
        ),
        (ApplicationError("It is in use.", {"remedy": "Stop it."}), "It is in use. Stop it."),
        (ApplicationError("It is in use.", {"remedy": None}, 5), "It is in use."),
        (ApplicationError("It is in use.", "text"), "It is in use."),
        (ApplicationError("It is in use."), "It is in use."),
        (CancelledError("cancelled"), "The step was cancelled."),
    ],
)
def test_failed_rollback_is_told_with_its_remedy(cause: BaseException, text: str) -> None:
    assert rollback_failure_text(failed(cause), STEP) == text


def test_step_without_a_heartbeat_lost_its_worker() -> None:
    step = PlannedStep("build", {"en": "Build"}, "command", {})
    error = failed(timed_out(TimeoutType.HEARTBEAT))
    assert step.heartbeat is None
    assert failure_text(error, step) == "The worker that ran the step has stopped."


@pytest.mark.parametrize(
    "innermost", [ApplicationError("a: must be a number"), ValueError("a: must be a number")]
)
def test_arguments_that_do_not_fit_are_told_by_the_innermost_cause(
    innermost: Exception,
) -> None:
    middle = ApplicationError("in between")
    middle.__cause__ = innermost
    outer = ApplicationError(ARGUMENTS_NOT_DECODED)
    outer.__cause__ = middle
    text = failure_text(failed(outer), STEP)
    assert text == "The arguments in `with` do not fit the step's input: a: must be a number"


def test_other_errors_are_told_with_their_kind() -> None:
    assert unexpected_text(KeyError("x")) == "The step could not be run: KeyError: 'x'"
