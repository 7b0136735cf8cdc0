"""Rules for controls. A control that is refused here adds nothing to history."""

from __future__ import annotations

from typing import NoReturn

from temporalio.exceptions import ApplicationError

from stepway.workflows.engine.board import Board
from stepway.workflows.model.messages import REFUSED, STEP_UNKNOWN

BEING_CANCELLED = "The initialization is being cancelled. Retry it when it has been cancelled."
CANCELLED_ALREADY = "The initialization is already being cancelled."

_NOTHING_TO_RETRY = "There is nothing to retry"
_POSSIBLE = {
    "pending": "It has not run yet; you can cancel the initialization.",
    "running": "Wait until it ends, or cancel the initialization.",
    "completed": "Completed steps are kept.",
    "skipped": "The initialization continues without it.",
}
_POSSIBLE_AFTER_THE_END = {
    "pending": "Retry the initialization to run all remaining steps.",
    "completed": "Completed steps are kept.",
    "skipped": "Retry the initialization to run all remaining steps.",
}


def must_know(board: Board, step: str) -> None:
    """Raise ApplicationError (StepUnknown) if the plan has no such step."""
    if step not in board.steps:
        names = ", ".join(board.graph.order)
        raise ApplicationError(f"Unknown step {step}; available steps: {names}.", type=STEP_UNKNOWN)


def must_be_failed(board: Board, step: str, verb: str, *, ended: bool = False) -> None:
    """Raise ApplicationError (StepUnknown, Refused) unless the step has failed."""
    must_know(board, step)
    state = board.states[step]
    if state != "failed":
        possible = (_POSSIBLE_AFTER_THE_END if ended else _POSSIBLE)[state]
        refuse(f"Only failed steps can be {verb}, but {step} is {state}. {possible}")


def is_for_running(reason: str, step: str | None) -> bool:
    """Whether a control was refused because the step, or any step, runs and has not failed."""
    return f"but {step} is running." in reason if step else reason.startswith(_NOTHING_TO_RETRY)


def must_be_optional(board: Board, step: str) -> None:
    """Raise ApplicationError (Refused) if the blueprint does not allow a skip."""
    if not board.steps[step].optional:
        refuse(
            f"{step} cannot be skipped: the blueprint does not mark it as optional. "
            "Retry it, or cancel the initialization."
        )


def must_have_failures(failed: list[str], status: str) -> None:
    """Raise ApplicationError (Refused) unless a failed step awaits a decision."""
    if not failed:
        refuse(
            f"{_NOTHING_TO_RETRY}: no step has failed, the initialization is {status}. "
            "You can cancel it."
        )


def refuse(reason: str) -> NoReturn:
    """Refuse an update."""
    raise ApplicationError(reason, type=REFUSED)
