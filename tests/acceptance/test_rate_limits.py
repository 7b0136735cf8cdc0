"""A step waits as long as another system asks, though its retries are quick and few."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.acceptance.conftest import StartStepway
from tests.support.controls import until_ended, workflow_of
from tests.support.servers import Json, Stepway, eventually, write_blueprint

HOUR = 3600.0
QUICK = {"maximum_attempts": 1, "initial_interval": 0.1, "maximum_interval": 0.1}


def limited(seconds: float) -> Json:
    return {"step": "limited", "uses": "limited", "retry": QUICK, "with": {"seconds": seconds}}


async def until_waiting(stepway: Stepway, project: str) -> Json:
    async def waits() -> Json | None:
        step = (await stepway.steps(project))["limited"]
        return step if "next_attempt_at" in step["metadata"] else None

    return await eventually(waits)  # type: ignore[no-any-return]


async def test_a_step_waits_for_the_hour_that_a_host_asks_for(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [limited(HOUR)])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        step = await until_waiting(stepway, project)
        assert step["status"] == "running"
        assert step["metadata"]["asked_to_wait"] is True
        assert step["metadata"]["last_error"] == "The host's limit is used up."
        shown = datetime.fromisoformat(step["metadata"]["next_attempt_at"])
        wait = shown - datetime.fromisoformat(step["updated_at"])
        assert wait.total_seconds() == pytest.approx(HOUR, abs=10)
        described = await workflow_of(temporal, project).describe()
        (pending,) = described.raw_description.pending_activities
        planned = pending.next_attempt_schedule_time.ToDatetime(UTC)
        assert (planned - shown).total_seconds() == pytest.approx(0, abs=10)
        await stepway.control(project, "cancel")
        await until_ended(stepway, project, "cancelled")


async def test_the_step_goes_on_after_the_wait_and_has_used_no_attempt(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [limited(4)])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await until_waiting(stepway, project)
        (folder / "limited.fixed").touch()
        await stepway.until(project, "active")
        waited, done = await stepway.attempts(project, "limited")
        step = (await stepway.steps(project))["limited"]
    assert (waited["outcome"], done["outcome"]) == ("interrupted", "completed")
    pause = datetime.fromisoformat(done["started_at"]) - datetime.fromisoformat(waited["ended_at"])
    assert pause.total_seconds() > 3.5
    assert not {"asked_to_wait", "next_attempt_at", "last_error"} & step["metadata"].keys()
