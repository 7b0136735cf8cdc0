"""What operators see of an initialization in Temporal's own tools."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

from stepway.workflows.engine.board import Board
from stepway_tracking.record.facts import StepStatus
from stepway_tracking.workflow.search_attributes import STATUS, STEPS

SIGNS: dict[StepStatus, str] = {
    "pending": "·",
    "running": "▶",
    "completed": "✔",
    "failed": "✖",
    "skipped": "⤼",
}
LONGEST_ERROR = 200
PAUSE = timedelta(seconds=1)
"""Between two writes of what merely runs, where the input says nothing else."""


@dataclass(frozen=True)
class Shown:
    """What the search attributes say, or should."""

    status: str
    failed: list[str]
    steps: list[str]

    def is_news_after(self, told: Shown | None) -> bool:
        """Whether operators look for what is different."""
        return told is None or (self.status, self.failed) != (told.status, told.failed)


class OperatorsView:
    """Keeps the workflow's search attributes and its details as the board says.

    Each upsert is an event in history and a write of Temporal's index. So what merely runs is told
    every few seconds at most; a new status or failure at once.
    """

    def __init__(self, pause: float | None) -> None:
        self._pause = PAUSE if pause is None else timedelta(seconds=pause)
        self._told = None if pause is None else _told_at_start()
        self._told_at = workflow.now()
        self._latest: Shown | None = None
        self._later: asyncio.Task[None] | None = None

    def show(self, status: str, board: Board) -> None:
        """Bring both up to date."""
        workflow.set_current_details(steps_table(board))
        self._latest = Shown(status, board.having("failed"), board.having("running", "failed"))
        if self._latest == self._told:
            return
        wait = self._pause - (workflow.now() - self._told_at)
        if self._latest.is_news_after(self._told) or wait <= timedelta(0):
            self._tell(self._latest)
        elif not self._later:
            self._later = asyncio.create_task(self._tell_later(wait))

    def _tell(self, shown: Shown) -> None:
        self._told, self._told_at = shown, workflow.now()
        workflow.upsert_search_attributes(
            [STATUS.value_set(shown.status), STEPS.value_set(shown.steps)]
        )

    async def _tell_later(self, wait: timedelta) -> None:
        await workflow.sleep(wait)
        self._later = None
        if self._latest and self._latest != self._told:
            self._tell(self._latest)


def _told_at_start() -> Shown | None:
    """What the start itself has set."""
    given = workflow.info().typed_search_attributes
    status = given.get(STATUS)
    return Shown(status, [], list(given.get(STEPS) or [])) if status else None


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
