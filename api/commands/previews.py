"""Previews of retries and cancels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from stepway.api.commands.boards import Boards, ended_sentence, refuse_typed, require_failed
from stepway.api.commands.records import StepRecord
from stepway.api.commands.retry_parameters import lost
from stepway.api.schemas import CancelPreview, ExistingObject, RetryPreview
from stepway.blueprints.models import Blueprint
from stepway.workflows.engine import rules
from stepway.workflows.engine.board import Board
from stepway.workflows.model.references import Reference, parse, texts
from stepway_tracking.record.errors import Refused
from stepway_tracking.record.facts import STEPWAY_METADATA

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Previews:
    """Says what a control would do."""

    def __init__(self, boards: Boards) -> None:
        self._boards = boards

    async def retry(self, project_id: UUID, step: str) -> RetryPreview:
        """Return the steps that a retry would run and keep, the existing objects, and the
        parameters that may be changed.

        Raises ProjectUnknown, StepUnknown, Refused.
        """
        project = await self._boards.project(project_id)
        await self._boards.require_step(project_id, step)
        board, records = await self._boards.retried(project)
        require_failed(board, step, ended=project.ended)
        shown = preview_retry(board, records, [step])
        blueprint = Blueprint.model_validate(project.definition)
        shown.parameters = changeable(blueprint, step, lost(project))
        return shown

    async def retry_of_all(self, project_id: UUID) -> RetryPreview:
        """Return the steps that a retry of all would run and keep, and the existing objects.

        Raises ProjectUnknown, and Refused if there is nothing to retry.
        """
        project = await self._boards.project(project_id)
        board, records = await self._boards.retried(project)
        chosen = board.retried_by_all(ended=project.ended)
        if not project.ended:
            refuse_typed(rules.must_have_failures, chosen, project.status)
        return preview_retry(board, records, chosen)

    async def cancel(self, project_id: UUID) -> CancelPreview:
        """Return the steps that a cancel with `undo` would roll back, in order, and the others that
        have made something.

        Raises ProjectUnknown, and Refused if the initialization has ended.
        """
        project = await self._boards.project(project_id)
        if project.ended:
            raise Refused(ended_sentence(project))
        board, records = await self._boards.of(project, rules.CANCELLED_ALREADY)
        return preview_cancel(board, records)


def preview_retry(board: Board, records: Iterable[StepRecord], chosen: list[str]) -> RetryPreview:
    """Preview the retry of these steps."""
    runs, keeps = board.graph.runs_on_retry(board.states, chosen)
    return RetryPreview(runs=runs, keeps=keeps, objects=_existing(board, records))


def preview_cancel(board: Board, records: Iterable[StepRecord]) -> CancelPreview:
    """Preview a cancel that rolls back.

    A running step may complete before it is stopped; then it is rolled back as well.
    """
    of = {record.step: record for record in records}
    begun = [*board.having("failed"), *board.having("running")]
    partial = [step for step in board.graph.order if step in begun and _is_partial(board, step)]
    finished = [of[step] for step in board.having("completed") if not of[step].undone]
    newest = sorted(finished, key=lambda one: one.completed_at or _LONG_AGO)[::-1]
    completed = [one.step for one in newest if board.steps[one.step].undo]
    rolls_back = [*reversed(partial), *completed]
    keeps = [
        step
        for step in board.graph.order
        if step not in rolls_back and _may_have_left_something(of[step])
    ]
    return CancelPreview(rolls_back=rolls_back, keeps=keeps)


def _is_partial(board: Board, step: str) -> bool:
    undo = board.steps[step].undo
    return undo is not None and undo.partial


def changeable(blueprint: Blueprint, step: str, lost: Iterable[str] = ()) -> list[str]:
    """Return the parameters that a step's arguments refer to and that its retry may change."""
    (arguments,) = (one.arguments for one in blueprint.steps if one.step == step)
    used = dict.fromkeys(_parameters_in(arguments))
    editable = blueprint.parameter_names if blueprint.editable is None else blueprint.editable
    return [name for name in used if name in {*editable, *lost}]


def _parameters_in(arguments: Any) -> Iterator[str]:
    for _, text in texts(arguments):
        for part in parse(text):
            if isinstance(part, Reference) and part.path[0] == "parameters" and part.path[1:]:
                yield part.path[1]


def _may_have_left_something(record: StepRecord) -> bool:
    """Whether the step has run and was not rolled back; a step with nothing to do made nothing."""
    if record.undone or record.started_at is None:
        return False
    return record.status != "skipped" or "skipped_by" in record.metadata


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
