"""Shows an initialization in Temporal's tools, for operators."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

from stepway.workflows.engine.board import Board
from stepway.workflows.model.messages import InitializationInput
from stepway_tracking.record.facts import StepStatus
from stepway_tracking.record.shortening import shortened
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
"""Minimum time between two writes about running steps, unless the input sets it."""

MOST_BYTES = 1500
"""Maximum size of StepwaySteps as JSON: at TEMPORALS_LIMIT, Temporal terminates the workflow."""

TEMPORALS_LIMIT = 2048


@dataclass(frozen=True)
class Shown:
    """The values of the search attributes."""

    status: str
    failed: list[str]
    steps: list[str]

    def is_news_after(self, told: Shown | None) -> bool:
        """Return whether the difference is urgent, because operators search for it."""
        return told is None or (self.status, self.failed) != (told.status, told.failed)


class OperatorsView:
    """Keeps the workflow's search attributes and its details as the board says.

    Each upsert is an event in history and a write of Temporal's index. So what merely runs is told
    every few seconds at most; a new status or failure at once.
    """

    def __init__(self, pause: float | None, heading: str = "") -> None:
        self._heading = heading
        self._pause = PAUSE if pause is None else timedelta(seconds=pause)
        self._told = None if pause is None else _told_at_start()
        self._told_at = workflow.now()
        self._latest: Shown | None = None
        self._later: asyncio.Task[None] | None = None

    def show(self, status: str, board: Board) -> None:
        """Update the search attributes and the details."""
        workflow.set_current_details(self._heading + steps_table(board))
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
            [STATUS.value_set(shown.status), STEPS.value_set(_indexed(shown))]
        )

    async def _tell_later(self, wait: timedelta) -> None:
        await workflow.sleep(wait)
        self._later = None
        if self._latest and self._latest != self._told:
            self._tell(self._latest)


def _indexed(shown: Shown) -> list[str]:
    size = bytes_of(shown.steps)
    # Old histories contain every step, and none of them exceeds Temporal's limit.
    if size <= MOST_BYTES or (size <= TEMPORALS_LIMIT and not workflow.patched("steps-capped")):
        return shown.steps
    failed = set(shown.failed)
    return capped([*shown.failed, *(step for step in shown.steps if step not in failed)])


def bytes_of(steps: list[str]) -> int:
    """Return the size of a list of names, as Temporal counts it."""
    return len(json.dumps(steps).encode())


def capped(steps: list[str]) -> list[str]:
    """Return the names that fit into MOST_BYTES, and the number of the others."""
    if bytes_of(steps) <= MOST_BYTES:
        return steps
    shown: list[str] = []
    left = MOST_BYTES - bytes_of([f"+{len(steps)} more"])
    for step in steps:
        # The two quotes and the separator of each name.
        left -= bytes_of([step])
        if left < 0:
            break
        shown.append(step)
    return [*shown, f"+{len(steps) - len(shown)} more"]


def _told_at_start() -> Shown | None:
    """Return the values that the start has set."""
    given = workflow.info().typed_search_attributes
    status = given.get(STATUS)
    return Shown(status, [], list(given.get(STEPS) or [])) if status else None


def heading(given: InitializationInput) -> str:
    """Return the project as Markdown: a continued run has no details from its start."""
    return (
        f"Project **{cell(given.name)}** of {cell(given.owner)}, blueprint "
        f"{cell(given.plan.blueprint)}. Project id `{given.project_id}`.\n\n"
    )


def steps_table(board: Board) -> str:
    """Return the steps as a Markdown table."""
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
    """Escape text for a cell of a Markdown table."""
    # Shortened first: a cut could take an escape apart.
    line = shortened(" ".join(text.split()), LONGEST_ERROR)
    return line.replace("|", "\\|").replace("<", "&lt;")
