"""What a retry would do, told before anybody asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stepway.api.commands.records import StepRecord
from stepway.workflows.engine.board import Board

_NOT_MADE = {
    "display_names",
    "next_attempt_at",
    "last_error",
    "paused",
    "remedy",
    "reason",
    "skipped_by",
    "slow",
    "undo",
    "retry",
}
"""What metadata says of a step beside what the step made."""


@dataclass(frozen=True)
class ExistingObject:
    """Something that a step has made and that is still there: `what` as the step told it."""

    step: str
    display_name: str
    what: dict[str, Any]


@dataclass(frozen=True)
class RetryPreview:
    """The steps that would run, the completed ones that stay, and what exists already."""

    runs: list[str]
    keeps: list[str]
    objects: list[ExistingObject]


def preview(board: Board, records: Iterable[StepRecord], step: str) -> RetryPreview:
    """The preview of a retry of one failed step."""
    found = board.graph.runs_on_retry(board.states, [step])
    return RetryPreview(found.runs, found.keeps, _existing(board, records))


def _existing(board: Board, records: Iterable[StepRecord]) -> list[ExistingObject]:
    """What steps have made outside: they can take it back, or know its address."""
    objects = []
    for record in records:
        what = {key: value for key, value in record.metadata.items() if key not in _NOT_MADE}
        outside = board.steps[record.step].undo is not None or what.get("url")
        if record.status in ("completed", "failed") and not record.undone and what and outside:
            objects.append(ExistingObject(record.step, record.display_name, what))
    return objects
