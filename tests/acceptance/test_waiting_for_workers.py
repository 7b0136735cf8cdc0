"""A step that no worker takes says so, until one does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from stepway.api.waiting import watch
from stepway.worker import running_worker
from tests.acceptance.conftest import StartStepway
from tests.acceptance.test_queues import of_queues
from tests.support.servers import Json, Stepway, eventually, write_blueprint


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PAUSE", 0.2)
    monkeypatch.setattr(watch, "LATE", timedelta(seconds=1))


@pytest.fixture
def gone_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a worker for gone before its last request to Temporal would have ended."""
    monkeypatch.setattr(watch, "SILENCE", timedelta(seconds=4))


async def until(stepway: Stepway, project: str, step: str, holds: Callable[[Json], bool]) -> Json:
    async def reached() -> Json | None:
        row = (await stepway.steps(project))[step]
        return row if holds(row) else None

    return await eventually(reached)  # type: ignore[no-any-return]


def waits(row: Json) -> bool:
    return "waiting_for_worker" in row["metadata"]


async def test_a_step_says_that_its_queue_has_no_worker(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps = [
        {"step": "near", "queue": "east", "needs": [], "undo": {"uses": "undo"}},
        {"step": "later", "queue": "east", "needs": ["near"]},
        {"step": "anywhere", "needs": []},
    ]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        row = await until(stepway, project, "near", waits)
        assert row["status"] == "pending"
        assert row["metadata"]["waiting_for_worker"]["queue"] == "east"
        rows = await stepway.steps(project)
        assert not waits(rows["later"]), "it has to wait for another step first"
        assert not waits(rows["anywhere"])
        async with running_worker(of_queues(stepway, "east")):
            await stepway.until(project, "active")
        assert not any(waits(row) for row in (await stepway.steps(project)).values())
        history = await stepway.history(project)
        # A second event says that a worker asks again, if it takes the step only later.
        assert {each["step"] for each in history if each["action"] == "awaiting_worker"} == {"near"}


@pytest.mark.usefixtures("gone_soon")
async def test_a_rollback_says_that_its_queue_has_no_worker(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps = [
        {"step": "near", "queue": "east", "undo": {"uses": "undo"}},
        {"step": "last", "uses": "broken"},
    ]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        async with running_worker(of_queues(stepway, "east")):
            await stepway.until(project, "failed")
        assert (await stepway.control(project, "cancel", {"undo": True})).status_code == 202
        row = await until(stepway, project, "near", waits)
        assert row["status"] == "completed"
        async with running_worker(of_queues(stepway, "east")):
            await stepway.until(project, "cancelled")
        row = (await stepway.steps(project))["near"]
    assert row["undone_at"] and not waits(row)


@pytest.mark.usefixtures("gone_soon")
async def test_running_steps_say_that_all_workers_are_gone(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps = [{"step": "held", "uses": "gate"}, {"step": "next"}]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway(worker=False) as stepway:
        async with running_worker(stepway.settings):
            project = await stepway.create(blueprint)
            await stepway.until_step(project, "held", "running")
        row = await until(stepway, project, "held", waits)
        assert row["status"] == "running"
        assert "queue" not in row["metadata"]["waiting_for_worker"]
        assert not waits((await stepway.steps(project))["next"])
        stepway.open_gate("held")
        async with running_worker(stepway.settings):
            await stepway.until(project, "active")
        assert not waits((await stepway.steps(project))["held"])


async def test_a_cancel_ends_the_wait(start_stepway: StartStepway, folder: Path) -> None:
    blueprint = write_blueprint(folder, [{"step": "near", "queue": "east"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await until(stepway, project, "near", waits)
        assert (await stepway.control(project, "cancel")).status_code == 202
        await stepway.until(project, "cancelled")
        assert not waits((await stepway.steps(project))["near"])
