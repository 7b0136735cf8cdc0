"""Texts for people about the failure of an activity."""

from __future__ import annotations

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    TimeoutError,
    TimeoutType,
)

from stepway.workflows.engine.sizes import ArgumentsTooLarge
from stepway.workflows.model.plan import PlannedStep
from stepway_tracking.record.facts import (
    ARGUMENTS_NOT_DECODED,
    ARGUMENTS_REMEDY,
    ARGUMENTS_UNFIT,
    LONGEST_REMEDY,
    ROLLBACK_TIMEOUT_REMEDY,
    TIMEOUT_REMEDY,
    AttemptOutcome,
)
from stepway_tracking.record.sentences import joined
from stepway_tracking.record.shortening import shortened

_BY_OPERATORS = ("ActivityPause", "ActivityReset")
"""Types of the SDK's errors for attempts that an operator has stopped."""


def failure_text(error: ActivityError, step: PlannedStep) -> str:
    """Return the cause in one or two sentences."""
    cause = error.cause
    if isinstance(cause, TimeoutError):
        return _timeout_text(cause, step)
    if isinstance(cause, ApplicationError):
        return _arguments_text(cause) if cause.message == ARGUMENTS_NOT_DECODED else cause.message
    if isinstance(cause, CancelledError):
        return "The step was cancelled."
    return str(cause or error)


def failure_remedy(error: ActivityError) -> str:
    """Return what a person can do, if the worker could not record it; empty if nothing is known."""
    cause = error.cause
    if isinstance(cause, TimeoutError) and cause.type == TimeoutType.START_TO_CLOSE:
        return TIMEOUT_REMEDY
    if isinstance(cause, ApplicationError) and cause.message == ARGUMENTS_NOT_DECODED:
        return ARGUMENTS_REMEDY
    return ""


def rollback_failure_text(error: ActivityError, step: PlannedStep) -> str:
    """Return why a rollback failed, and what a person can do if that is known."""
    return joined(failure_text(error, step), _rollback_remedy(error))


def unexpected_text(error: Exception) -> str:
    """Return the cause if an activity could not start or its result could not be used."""
    if isinstance(error, ArgumentsTooLarge):
        return str(error)
    return f"The step could not be run: {type(error).__name__}: {error}"


def was_interrupted(error: ActivityError) -> bool:
    """Whether the last attempt was lost, paused or reset, and did not fail by itself."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.type in _BY_OPERATORS
    return isinstance(cause, TimeoutError)


def failure_outcome(error: ActivityError) -> AttemptOutcome:
    """Return the outcome of the last attempt: `timed_out`, `cancelled` or `failed`."""
    if isinstance(error.cause, TimeoutError):
        return "timed_out"
    return "cancelled" if isinstance(error.cause, CancelledError) else "failed"


def _rollback_remedy(error: ActivityError) -> str:
    cause = error.cause
    if isinstance(cause, TimeoutError) and cause.type == TimeoutType.START_TO_CLOSE:
        return ROLLBACK_TIMEOUT_REMEDY
    details = cause.details if isinstance(cause, ApplicationError) else ()
    given = details[0] if details and isinstance(details[0], dict) else {}
    return shortened(str(given.get("remedy") or ""), LONGEST_REMEDY)


def _arguments_text(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    detail = error.message if isinstance(error, ApplicationError) else str(error)
    return f"{ARGUMENTS_UNFIT}: {detail}"


def _timeout_text(cause: TimeoutError, step: PlannedStep) -> str:
    match cause.type:
        case TimeoutType.HEARTBEAT:
            if step.heartbeat is None:
                return "The worker that ran the step has stopped."
            return (
                f"The step sent no heartbeat for {step.heartbeat:g} s: "
                "its worker has stopped or does not respond."
            )
        case TimeoutType.START_TO_CLOSE:
            return f"The step exceeded its time limit of {step.timeout:g} s."
        case TimeoutType.SCHEDULE_TO_START:
            return "No worker started the step in time."
        case _:
            return "The step did not end in time."
