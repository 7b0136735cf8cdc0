"""simulate: duration, progress and failures."""

from __future__ import annotations

import dataclasses

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway.activities.project import ProjectRef
from stepway.activities.simulation import simulate as module
from stepway.activities.simulation.simulate import Simulated, SimulateInput, simulate
from stepway_tracking.record.progress import Progress, SubStep

PROJECT = ProjectRef("00000000-0000-0000-0000-000000000007", "shop", "local")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.01)


async def run(given: SimulateInput, attempt: int = 1) -> tuple[Simulated, list[Progress]]:
    said: list[Progress] = []
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=attempt)
    environment.on_heartbeat = lambda *details: said.append(details[0])
    return await environment.run(simulate, given), said


async def test_parts_become_sub_steps_one_after_the_other() -> None:
    given = SimulateInput(PROJECT, seconds=0.4, pace=0.1, parts=["Fetch image", "Push"])
    done, said = await run(given)
    assert done == Simulated(pytest.approx(0.04))
    assert [progress.percent for progress in said] == [0, 25, 50, 75]
    assert [progress.sub_step for progress in said] == [
        SubStep("fetch_image", "Fetch image", 0),
        SubStep("fetch_image", "Fetch image", 50),
        SubStep("push", "Push", 0),
        SubStep("push", "Push", 50),
    ]


async def test_messages_are_said_one_after_the_other() -> None:
    _, said = await run(SimulateInput(PROJECT, seconds=0.04, messages=["first", "second"]))
    assert [progress.message for progress in said] == ["first", "first", "second", "second"]
    assert said[0].sub_step is None


async def test_the_first_attempts_fail_and_are_retried() -> None:
    given = SimulateInput(PROJECT, seconds=0.01, failing_attempts=2, error="busy", remedy="wait")
    for attempt in (1, 2):
        with pytest.raises(ApplicationError, match="busy") as failed:
            await run(given, attempt)
        assert not failed.value.non_retryable
        assert failed.value.details[0] == {"remedy": "wait"}
    assert (await run(given, 3))[0] == Simulated(0.01)


async def test_a_broken_one_fails_at_every_attempt_and_is_not_retried() -> None:
    with pytest.raises(ApplicationError) as failed:
        await run(SimulateInput(PROJECT, seconds=0.02, broken=True), 7)
    assert failed.value.non_retryable


@pytest.mark.parametrize("seconds", [-1, 1e9, float("nan")])
async def test_a_time_that_cannot_be_waited_for_is_refused(seconds: float) -> None:
    with pytest.raises(ApplicationError, match="Cannot simulate") as failed:
        await run(SimulateInput(PROJECT, seconds=seconds))
    assert failed.value.non_retryable
