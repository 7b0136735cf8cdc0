"""Estimates the remaining time of an initialization from earlier runs of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from stepway.api.auth.guard import Guarded
from stepway.api.commands.records import StepRecord
from stepway.api.dependencies import ProjectId, Resources
from stepway.api.openapi import problems
from stepway.blueprints.models import Blueprint
from stepway.workflows.model.plan import Graph
from stepway_tracking.queries.statistics import UsualDuration
from stepway_tracking.record.facts import FEWEST_FOR_ESTIMATE

router = APIRouter(
    route_class=Guarded, prefix="/api/projects/{project_id}/initialization", tags=["initialization"]
)


class Estimate(BaseModel):
    """Remaining milliseconds, as median and p95; null if there are too few earlier runs.

    `samples` is the lowest number of completed runs among the remaining steps.
    """

    p50_ms: int | None
    p95_ms: int | None
    samples: int


@router.get("/estimate", response_model=Estimate, responses=problems(404, 422, 503))
async def get_estimate(project_id: ProjectId, given: Resources) -> Any:
    """Estimate the remaining time; null unless the project is initializing."""
    project = await given.records.project(project_id)
    steps = await given.records.steps(project_id)
    usual = await given.durations.of(project.blueprint)
    if project.status != "initializing":
        return Estimate(p50_ms=None, p95_ms=None, samples=0)
    if project.takes_updates:
        graph = Graph(Blueprint.model_validate(project.definition).steps)
    else:
        graph = Graph(one_by_one(steps))
    return time_left(graph, steps, usual, datetime.now(UTC))


def time_left(
    graph: Graph, steps: list[StepRecord], usual: Mapping[str, UsualDuration], now: datetime
) -> Estimate:
    """Return the estimate along the longest path through the steps that have not ended."""
    ahead = {step.step: step for step in steps if step.status in ("pending", "running")}
    samples = min((usual[name].samples if name in usual else 0 for name in ahead), default=0)
    if samples < FEWEST_FOR_ESTIMATE:
        return Estimate(p50_ms=None, p95_ms=None, samples=samples)

    def longest(duration: Callable[[UsualDuration], int]) -> int:
        ends: dict[str, int] = {}
        for name in graph.order:
            begins = max((ends[before] for before in graph.waits_for[name]), default=0)
            ends[name] = begins
            if step := ahead.get(name):
                ends[name] += max(duration(usual[name]) - elapsed(step, now), 0)
        return max(ends.values(), default=0)

    return Estimate(
        p50_ms=longest(lambda one: one.p50), p95_ms=longest(lambda one: one.p95), samples=samples
    )


@dataclass(frozen=True)
class Row:
    """A step of which only the row is known."""

    step: str
    after: list[str]
    needs: list[str] = field(default_factory=list)


def one_by_one(steps: list[StepRecord]) -> list[Row]:
    """Return the steps of a workflow that Stepway does not know, as if each pending step waited for
    all before it. What runs already runs in parallel.
    """
    names = [step.step for step in steps]
    return [
        Row(step.step, names[:number] if step.status == "pending" else [])
        for number, step in enumerate(steps)
    ]


def elapsed(step: StepRecord, now: datetime) -> int:
    """Return the milliseconds that a step has been running; 0 if it is not running."""
    if step.status != "running" or step.started_at is None:
        return 0
    return round((now - step.started_at).total_seconds() * 1000)
