"""The estimated remaining time of an initialization."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from stepway.api.commands.records import StepRecord
from stepway.api.routes.estimate import one_by_one, time_left
from stepway.workflows.model.plan import Graph, StepStatus
from stepway_tracking.queries.statistics import UsualDuration

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Node:
    step: str
    needs: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


GRAPH = Graph([Node("a"), Node("b"), Node("c", needs=["a"], after=["b"])])
USUAL = {
    "a": UsualDuration(100, 200, 9),
    "b": UsualDuration(500, 900, 9),
    "c": UsualDuration(10, 20, 5),
}


def record(step: str, status: StepStatus, running_ms: int = 0) -> StepRecord:
    started_at = NOW - timedelta(milliseconds=running_ms)
    return StepRecord(step, step.title(), status, started_at, None, None, False, {}, None)


def test_steps_side_by_side_take_as_long_as_the_longest_way_through() -> None:
    steps = [record("a", "pending"), record("b", "pending"), record("c", "pending")]
    left = time_left(GRAPH, steps, USUAL, NOW)
    assert (left.p50_ms, left.p95_ms, left.samples) == (510, 920, 5)


def test_elapsed_time_of_a_step_is_subtracted() -> None:
    steps = [record("a", "completed"), record("b", "running", 300), record("c", "pending")]
    left = time_left(GRAPH, steps, USUAL, NOW)
    assert (left.p50_ms, left.p95_ms) == (210, 620)


def test_a_step_that_overruns_leaves_what_follows_and_never_less_than_nothing() -> None:
    steps = [record("a", "completed"), record("b", "running", 5000), record("c", "pending")]
    assert time_left(GRAPH, steps, USUAL, NOW).p95_ms == 20


def test_under_three_samples_nothing_is_said() -> None:
    steps = [record("c", "pending")]
    left = time_left(GRAPH, steps, {"c": UsualDuration(1, 2, 2)}, NOW)
    assert (left.p50_ms, left.p95_ms, left.samples) == (None, None, 2)
    assert time_left(GRAPH, steps, {}, NOW).p50_ms is None


def test_of_a_workflow_of_ones_own_pending_steps_wait_for_all_before_them() -> None:
    rows = [record("a", "running", 5), record("b", "running", 300), record("c", "pending")]
    left = time_left(Graph(one_by_one(rows)), rows, USUAL, NOW)
    alone = {step: USUAL[step].p50 for step in ("a", "b", "c")}
    assert left.p50_ms == max(alone["a"] - 5, alone["b"] - 300) + alone["c"]


def test_a_workflow_without_steps_has_no_estimate() -> None:
    assert time_left(Graph([]), [], USUAL, NOW).p50_ms is None
