"""Which steps wait for a worker, by the rows and the dependencies of their project."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from stepway.api.waiting.steps import Node, OpenProject, Row
from stepway_tracking.record.facts import StepStatus

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def row(
    step: str,
    status: StepStatus,
    queue: str = "",
    changed: int = 0,
    ended: int | None = None,
    *,
    marked: bool = False,
    undone: bool = False,
) -> Row:
    over = None if ended is None else at(ended)
    return Row(step, status, queue, at(changed), over, marked, undone)


def project(*rows: Row, cancelled: int | None = None) -> OpenProject:
    """A project whose steps each come after the one before; all have a rollback."""
    before = [[], *([each.step] for each in rows)]
    nodes = [Node(each.step, after=after) for each, after in zip(rows, before, strict=False)]
    cancelled_at = None if cancelled is None else at(cancelled)
    undoable = frozenset(each.step for each in rows)
    by_step = {each.step: each for each in rows}
    return OpenProject(uuid4(), 7, "stepway", cancelled_at, nodes, undoable, by_step)


def found(given: OpenProject, *silent: str) -> list[tuple[str, str, int]]:
    return [
        (each.step, each.queue, round((each.since - NOON).total_seconds() / 60))
        for each in given.waiting(silent)
    ]


def test_a_step_waits_since_the_step_before_it_ended() -> None:
    given = project(
        row("a", "completed", ended=4), row("b", "pending", "east"), row("c", "pending")
    )
    assert found(given, "east") == [("b", "east", 4)]
    assert found(given, "west") == []


def test_steps_that_only_wait_are_for_the_workers_of_the_same_queue() -> None:
    assert found(project(row("a", "pending", "east.waits")), "east") == [("a", "east", 0)]
    assert found(project(row("a", "pending", "waits")), "") == [("a", "", 0)]


def test_without_workers_of_initializations_no_step_is_given_to_a_queue() -> None:
    assert found(project(row("a", "pending", "east")), "", "east") == [("a", "", 0)]


def test_a_running_step_waits_for_the_workers_of_its_queue_alone() -> None:
    given = project(row("a", "running", "east", changed=3), row("b", "pending", "east"))
    assert found(given, "") == []
    assert found(given, "", "east") == [("a", "east", 3)]


def test_a_marked_step_is_not_found_again() -> None:
    assert found(project(row("a", "pending", "east", marked=True)), "east") == []


@pytest.mark.parametrize("status", ["pending", "running"])
def test_nothing_is_rolled_back_before_all_steps_have_stopped(status: StepStatus) -> None:
    given = project(row("a", "completed", "east", ended=1), row("b", status), cancelled=2)
    assert found(given, "east") == []


def test_the_step_that_ended_last_is_rolled_back_first() -> None:
    first, second = row("a", "completed", "east", ended=1), row("b", "completed", "east", ended=3)
    assert found(project(first, second, cancelled=5), "east") == [("b", "east", 5)]
    undone = row("b", "completed", "east", changed=6, ended=3, undone=True)
    assert found(project(first, undone, cancelled=5), "east") == [("a", "east", 6)]
