"""The controls that a project takes now, as the routes would accept them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from stepway.api.commands.records import Records, StepRecord, resumed_state
from stepway.api.schemas import Controls, ProjectControl, StepControl
from stepway.vault.redaction import REDACTED

Json = dict[str, Any]

NONE = Controls(project=[], steps={})


async def offers(records: Records, found: Json) -> Controls:
    """Return the controls that an initialization takes now; `found` is its JSON."""
    if found["project"]["status"] == "active":
        return NONE
    project = await records.project(UUID(found["project"]["id"]))
    if not project.takes_updates or await records.is_being_cancelled(project):
        return NONE
    return _of_own(found)


def _of_own(found: Json) -> Controls:
    project = found["project"]
    steps = [step for step in found["steps"] if step["parent_step"] is None]
    if project["initialization_completed_at"] is not None:
        return _after_the_end(project, steps)
    failed = {step["step"]: step for step in steps if step["status"] == "failed"}
    of_project: list[ProjectControl] = ["retry", "cancel"] if failed else ["cancel"]
    of_steps = {name: _of_failed(step) for name, step in failed.items()}
    return Controls(project=of_project, steps=of_steps)


def _of_failed(step: Json) -> list[StepControl]:
    return ["retry", "skip"] if step["optional"] else ["retry"]


def _after_the_end(project: Json, steps: list[Json]) -> Controls:
    if project["status"] not in ("failed", "cancelled"):
        return NONE
    failed = [step["step"] for step in steps if resumed_state(_record(step)) == "failed"]
    # A parameter that an earlier version has lost can be given with the retry of a step only.
    lost = REDACTED in str(project["parameters"])
    return Controls(project=[] if lost else ["retry"], steps={name: ["retry"] for name in failed})


def _record(step: Json) -> StepRecord:
    started, completed = (
        datetime.fromisoformat(at) if at else None
        for at in (step["started_at"], step["completed_at"])
    )
    return StepRecord(
        step=step["step"],
        display_name=step["display_name"],
        status=step["status"],
        started_at=started,
        completed_at=completed,
        error=step["error"],
        undone=step["undone_at"] is not None,
        metadata=step["metadata"],
        result=None,
    )
