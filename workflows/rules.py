"""Which control makes sense when. What is refused here puts nothing into history."""

from __future__ import annotations

from typing import NoReturn

from temporalio.exceptions import ApplicationError

from workflows.board import Board
from workflows.messages import REFUSED, STEP_UNKNOWN


def must_know(board: Board, step: str) -> None:
    """Raises ApplicationError (StepUnknown) for a step that the plan does not have."""
    if step not in board.steps:
        names = ", ".join(board.graph.order)
        raise ApplicationError(f"There is no step {step}; there are {names}.", type=STEP_UNKNOWN)


def must_be_failed(board: Board, step: str, verb: str) -> None:
    """Raises ApplicationError (Refused) unless the step has failed."""
    must_know(board, step)
    if board.states[step] != "failed":
        refuse(f"Only a failed step can be {verb}, and {step} is {board.states[step]}.")


def must_be_optional(board: Board, step: str) -> None:
    """Raises ApplicationError (Refused) where the blueprint does not allow a skip."""
    if not board.steps[step].optional:
        refuse(f"{step} cannot be skipped: its blueprint does not mark it as optional.")


def refuse(reason: str) -> NoReturn:
    """Refuse an update."""
    raise ApplicationError(reason, type=REFUSED)
