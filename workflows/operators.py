"""What operators see of an initialization in Temporal's own tools."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from workflows.board import Board

STATUS = SearchAttributeKey.for_keyword("StepwayStatus")
BLUEPRINT = SearchAttributeKey.for_keyword("StepwayBlueprint")
PROJECT = SearchAttributeKey.for_keyword("StepwayProject")
STEPS = SearchAttributeKey.for_keyword_list("StepwaySteps")

SIGNS = {"pending": "·", "running": "▶", "completed": "✔", "failed": "✖", "skipped": "⤼"}
LONGEST_ERROR = 200


class OperatorsView:
    """Keeps the workflow's search attributes and its details as the board says."""

    def __init__(self) -> None:
        self._shown: tuple[str, list[str]] | None = None

    def show(self, status: str, board: Board) -> None:
        """Bring both up to date; history grows only where an attribute changes."""
        shown = (status, board.having("running", "failed"))
        if shown != self._shown:
            self._shown = shown
            workflow.upsert_search_attributes([STATUS.value_set(status), STEPS.value_set(shown[1])])
        workflow.set_current_details(steps_table(board))


def steps_table(board: Board) -> str:
    """The steps as a Markdown table."""
    rows = [_row(board, step) for step in board.graph.order]
    return "\n".join(["| | step | state | round | since | error |", "|-|-|-|-|-|-|", *rows])


def _row(board: Board, step: str) -> str:
    state = board.states[step]
    since = f"{board.since[step]:%Y-%m-%d %H:%M:%S}" if step in board.since else ""
    cells = [
        SIGNS[state],
        cell(board.title(step)),
        state,
        str(board.rounds[step] or ""),
        since,
        cell(board.errors.get(step, "")),
    ]
    return f"| {' | '.join(cells)} |"


def cell(text: str) -> str:
    """Text that cannot break out of a Markdown table's cell."""
    line = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return line if len(line) <= LONGEST_ERROR else f"{line[:LONGEST_ERROR]}…"
