"""Which control makes sense when. What is refused here puts nothing into history."""

from __future__ import annotations

from typing import NoReturn

from temporalio.exceptions import ApplicationError

from stepway.workflows.engine.board import Board
from stepway.workflows.model.messages import REFUSED, STEP_UNKNOWN

_POSSIBLE = {
    "pending": "It has not run yet; the initialization can be cancelled.",
    "running": "Wait until it ends, or cancel the initialization.",
    "completed": "What is completed is kept.",
    "skipped": "The initialization goes on without it.",
}
_POSSIBLE_AFTER_THE_END = {
    "pending": "Retry the initialization: that runs all that is not completed.",
    "completed": "What is completed is kept.",
    "skipped": "Retry the initialization: that runs all that is not completed.",
}


def must_know(board: Board, step: str) -> None:
    """Raises ApplicationError (StepUnknown) for a step that the plan does not have."""
    if step not in board.steps:
        names = ", ".join(board.graph.order)
        raise ApplicationError(f"There is no step {step}; there are {names}.", type=STEP_UNKNOWN)


def must_be_failed(board: Board, step: str, verb: str, *, ended: bool = False) -> None:
    """Raises ApplicationError (StepUnknown, Refused) unless the step has failed."""
    must_know(board, step)
    state = board.states[step]
    if state != "failed":
        possible = (_POSSIBLE_AFTER_THE_END if ended else _POSSIBLE)[state]
        refuse(f"Only a failed step can be {verb}, and {step} is {state}. {possible}")


def must_be_optional(board: Board, step: str) -> None:
    """Raises ApplicationError (Refused) where the blueprint does not allow a skip."""
    if not board.steps[step].optional:
        refuse(
            f"{step} has failed and cannot be skipped: its blueprint does not mark it as "
            "optional. Retry it, or cancel the initialization."
        )


def must_have_failures(failed: list[str], status: str) -> None:
    """Raises ApplicationError (Refused) where nothing has failed that nobody has decided on."""
    if not failed:
        refuse(
            f"There is nothing to retry: no step is failed, the initialization is {status}. "
            "It can be cancelled."
        )


def refuse(reason: str) -> NoReturn:
    """Refuse an update."""
    raise ApplicationError(reason, type=REFUSED)
