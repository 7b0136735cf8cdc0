"""People's decisions about failed steps are applied as a whole, and none overwrites another."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from stepway.workflows.model import messages
from stepway.workflows.model.messages import Resumed, digest
from stepway_tracking.record.facts import StepStatus
from tests.support.scripted import Stage, a_plan, planned


def cause_of(error: pytest.ExceptionInfo[WorkflowUpdateFailedError]) -> ApplicationError:
    """The error with which the workflow refused an update."""
    cause = error.value.cause
    assert isinstance(cause, ApplicationError)
    return cause


async def test_retry_of_all_leaves_what_a_person_has_skipped(stage: Stage) -> None:
    steps = [planned("a", optional=True), planned("b")]
    it = await stage.start(steps, {"a": ["final"], "b": ["final", "ok"]})
    await it.until_step("a", "failed")
    await it.until("failed")
    await it.skip("a")
    await it.until("failed")
    await it.retry()
    assert await it.closes() == "COMPLETED"
    assert await it.statuses() == {"a": "skipped", "b": "completed"}
    assert len(it.script.seen["a"]) == 1


async def test_each_retry_of_a_run_is_an_event_of_its_own(stage: Stage) -> None:
    it = await stage.start([planned("a")], {"a": ["final", "final", "ok"]})
    await it.until("failed")
    await it.retry("a", actor="alice")
    await it.until_runs("a", 2)
    await it.retry("a", actor="bob")
    assert await it.closes() == "COMPLETED"
    retried = [
        event["actor"]
        for event in await it.events()
        if event["action"] == "retried" and event["type"] == "project"
    ]
    assert retried == ["alice", "bob"]


async def test_only_a_step_that_has_failed_is_retried_or_skipped(stage: Stage) -> None:
    steps = [planned("a", optional=True), planned("b", needs=["a"], optional=True)]
    it = await stage.start(steps, {"a": ["wait"], "b": ["final"]})
    await it.until_step("a", "running")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await it.retry("a")
    assert cause_of(refused).message.startswith(
        "Only failed steps can be retried, but a is running"
    )
    it.script.released.set()
    await it.until_step("b", "failed")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await it.skip("a")
    assert cause_of(refused).message.startswith("Only failed steps can be skipped, but a is comp")
    await it.skip("b")
    assert await it.closes() == "COMPLETED"
    assert await it.statuses() == {"a": "completed", "b": "skipped"}
    metadata = json.loads((await it.steps())["b"]["metadata"])
    assert (metadata["reason"], metadata["skipped_by"]) == ("not needed", "alice")


async def test_retry_with_other_parameters_runs_with_them(stage: Stage) -> None:
    it = await stage.start([planned("a")], {"a": ["final", "ok"]}, parameters={"v": "bad"})
    await it.until("failed")
    good = a_plan([planned("a", arguments={"value": "good"})])
    await it.retry("a", plan=good, parameters={"v": "good"}, changes={"v": "good"})
    assert await it.closes() == "COMPLETED"
    assert it.script.seen["a"][1]["value"] == "good"
    metadata = json.loads((await it.steps())["a"]["metadata"])
    assert metadata["retry"] == {"actor": "alice", "parameters": {"v": "good"}}
    assert json.loads((await it.row())["parameters"]) == {"v": "good"}


async def test_two_decide_on_one_step_at_once_and_one_is_refused(stage: Stage) -> None:
    it = await stage.start([planned("a"), planned("b")], {"a": ["final", "ok"], "b": ["final"]})
    await it.until_step("a", "failed")
    await it.until("failed")
    it.troubles.stalled_action = "retried"
    first = asyncio.create_task(it.retry("a"))
    await it.troubles.stalled.wait()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await it.retry("a")
    assert "Another request" in cause_of(refused).message
    it.troubles.stalled_action = ""
    all_others = asyncio.create_task(it.retry())
    await asyncio.sleep(0.1)
    it.troubles.resumed.set()
    await asyncio.gather(first, all_others)
    await it.until_runs("b", 2)
    assert len(it.script.seen["a"]) == 2
    await it.cancel()
    assert await it.closes() == "CANCELED"


async def test_retry_of_all_leaves_a_step_that_another_request_is_retrying(stage: Stage) -> None:
    it = await stage.start([planned("a")], {"a": ["final", "ok"]})
    await it.until("failed")
    it.troubles.stalled_action = "retried"
    first = asyncio.create_task(it.retry("a"))
    await it.troubles.stalled.wait()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await it.retry()
    assert "nothing to retry" in cause_of(refused).message
    it.troubles.resumed.set()
    await first
    assert await it.closes() == "COMPLETED"


async def test_decision_that_the_record_refuses_changes_nothing(stage: Stage) -> None:
    good = a_plan([planned("a", arguments={"value": "good"})])
    it = await stage.start([planned("a")], {"a": ["final", "ok"]}, parameters={"v": "bad"})
    await it.until("failed")
    it.troubles.refused_action = "retried"
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await it.retry("a", plan=good, parameters={"v": "good"})
    assert "does not fit" in str(cause_of(refused))
    it.troubles.refused_action = ""
    await it.retry("a")
    assert await it.closes() == "COMPLETED"
    assert "value" not in it.script.seen["a"][1]


async def test_change_of_parameters_that_others_have_changed_is_refused_with_the_present_ones(
    stage: Stage,
) -> None:
    given = {"x": 1, "y": 1}
    it = await stage.start(
        [planned("a"), planned("b")], {"a": ["final", "ok"], "b": ["final", "ok"]}, parameters=given
    )
    await it.until_step("a", "failed")
    await it.until_step("b", "failed")
    await it.until("failed")
    plan = a_plan([planned("a"), planned("b")])

    def change(**changed: Any) -> dict[str, Any]:
        return {"plan": plan, "parameters": given | changed, "based_on": digest(given)}

    await it.retry("a", **change(x=2))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await it.retry("b", **change(y=2))
    assert cause_of(refused).type == messages.PARAMETERS_CHANGED
    assert cause_of(refused).details[0] == {"x": 2, "y": 1}
    merged = {"plan": plan, "parameters": {"x": 2, "y": 2}, "based_on": digest({"y": 1, "x": 2})}
    await it.retry("b", **merged)
    assert await it.closes() == "COMPLETED"


def resumed(**states: StepStatus) -> Resumed:
    """An initialization that had ended with these states."""
    errors = {step: "no" for step, state in states.items() if state == "failed"}
    return Resumed(dict(states), {}, errors)


async def test_accepted_retry_waits_for_postgres_for_as_long_as_it_is_away(stage: Stage) -> None:
    it = await stage.start([planned("a")], {"a": ["final", "ok"]}, time_limit=60.0)
    assert await it.closes() == "FAILED"
    it = await stage.start_again(it, resumed(a="failed"), time_limit=86_400.0)
    it.troubles.away = 40
    asking = asyncio.create_task(it.retry("a"))
    async with asyncio.timeout(100):
        while not asking.done():
            await stage.env.sleep(10)
    await asking
    assert await it.closes() == "COMPLETED"
    assert (await it.row())["status"] == "active"


async def test_run_for_a_retry_that_never_came_ends_as_if_it_never_was(stage: Stage) -> None:
    it = await stage.start([planned("a")], {"a": ["final"]}, time_limit=60.0)
    assert await it.closes() == "FAILED"
    before = await it.events()
    it = await stage.start_again(it, resumed(a="failed"))
    assert await it.closes() == "FAILED"
    assert await it.events() == before


async def test_retry_of_all_after_the_end_runs_what_was_skipped_too(stage: Stage) -> None:
    steps = [planned("a", optional=True), planned("b", needs=["a"])]
    it = await stage.start(steps, {"a": ["final", "ok"]}, time_limit=60.0)
    await it.until("failed")
    await it.skip("a")
    assert await it.closes() == "COMPLETED"
    it = await stage.start_again(it, resumed(a="skipped", b="pending"))
    await it.retry()
    assert await it.closes() == "COMPLETED"
    assert await it.statuses() == {"a": "completed", "b": "completed"}
