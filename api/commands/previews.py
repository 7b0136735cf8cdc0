"""Previews of retries."""

from __future__ import annotations

from collections.abc import Iterable

from stepway.api.commands.records import StepRecord
from stepway.api.schemas import ExistingObject, RetryPreview
from stepway.workflows.engine.board import Board
from stepway_tracking.record.facts import STEPWAY_METADATA


def preview(board: Board, records: Iterable[StepRecord], step: str) -> RetryPreview:
    """Preview the retry of one failed step."""
    runs, keeps = board.graph.runs_on_retry(board.states, [step])
    return RetryPreview(runs=runs, keeps=keeps, objects=_existing(board, records))


def _existing(board: Board, records: Iterable[StepRecord]) -> list[ExistingObject]:
    """Return the objects that steps created: the step can be rolled back or has a URL."""
    objects = []
    for record in records:
        what = {key: value for key, value in record.metadata.items() if key not in STEPWAY_METADATA}
        outside = board.steps[record.step].undo is not None or what.get("url")
        if record.status in ("completed", "failed") and not record.undone and what and outside:
            objects.append(
                ExistingObject(step=record.step, display_name=record.display_name, what=what)
            )
    return objects
