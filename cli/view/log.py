"""An initialization as a log: a line per change of status, without terminal control. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from stepway.cli.client.fold import Initialization, Step, in_order
from stepway.cli.view.text import clock, excerpt, one_line
from stepway.cli.view.words import (
    awaited_worker,
    details_of,
    error_of,
    metadata_of,
    remedy_of,
    shown_status,
    status_of,
    taken,
)

_ERROR_LINES = 20
_NAME = 28
ROLLBACKS = {"running": "rolling back", "failed": "rollback failed"}


def changes(before: Initialization | None, after: Initialization, now: datetime) -> Iterator[str]:
    """Yield the lines for the differences between two states."""
    for step in in_order(after):
        if _logged(before.steps.get(step["step"]) if before else None) != _logged(step):
            yield from _lines(step, now)
    status = status_of(after.project)
    if before is None or status_of(before.project) != status:
        at = clock(after.project.get("updated_at"))
        name = one_line(after.project["name"])
        yield f"{at}  {name:{_NAME}}  {status}  {after.progress:.0f}%"


def _logged(step: Step | None) -> tuple[object, ...]:
    """Return the values whose change is logged. A pending step is logged if it waits."""
    waits = awaited_worker(step) if step else ""
    if step is None or step["status"] == "pending":
        return ("pending", waits)
    metadata = metadata_of(step)
    undo = metadata.get("undo") or {}
    waiting = (metadata.get("next_attempt_at"), undo.get("next_attempt_at"), waits)
    return step["status"], step.get("attempt"), waiting, undo.get("status"), step.get("undone_at")


def _lines(step: Step, now: datetime) -> Iterator[str]:
    parts = [clock(_at(step)), f"{one_line(step['step']):{_NAME}}", _what(step)]
    if step["status"] != "running":
        parts.append(taken(step, now))
    yield "  ".join(part for part in parts if part)
    # The error of the previous attempt was logged when that attempt ended.
    if step["status"] == "running" and not metadata_of(step).get("next_attempt_at"):
        return
    if error_of(step):
        yield from (f"          {line}" for line in excerpt(error_of(step), _ERROR_LINES))
        yield from (f"          {line}" for line in details_of(step, _ERROR_LINES))
    if remedy_of(step):
        yield f"          -> {remedy_of(step)}"


def _at(step: Step) -> str | None:
    if step["status"] == "running" or metadata_of(step).get("undo"):
        return step.get("updated_at") or step.get("started_at")
    return step.get("completed_at") or step.get("updated_at")


def _what(step: Step) -> str:
    metadata = metadata_of(step)
    attempt = step.get("attempt") or 1
    if step.get("undone_at"):
        return f"{step['status']}, rolled back"
    if waits := awaited_worker(step):
        return waits
    if undo := metadata.get("undo"):
        said = f"{step['status']}, {ROLLBACKS.get(undo.get('status'), 'rolled back')}"
        return f"{said}, waits until {clock(at)}" if (at := _asked_until(undo)) else said
    if step["status"] == "skipped":
        return f"skipped: {one_line(metadata.get('reason') or 'no reason given')}"
    if step["status"] == "pending":
        return "will run again"
    if metadata.get("next_attempt_at") and step["status"] == "running":
        at = clock(metadata["next_attempt_at"])
        if _asked_until(metadata):
            return f"waits until {at}"
        return f"attempt {attempt} failed, next attempt at {at}"
    status = shown_status(step)
    return f"{status}, attempt {attempt}" if attempt > 1 else status


def _asked_until(metadata: Mapping[str, Any]) -> str | None:
    """Return until when another system asked a step, or its rollback, to wait."""
    return metadata.get("next_attempt_at") if metadata.get("asked_to_wait") else None
