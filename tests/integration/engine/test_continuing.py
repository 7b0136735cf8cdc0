"""A run with a long history continues in a new run, without a difference for people."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from stepway.workflows.engine import continuing
from tests.support.scripted import Initialization, Stage, a_plan, planned, undone_by_script


@pytest.fixture
def after_two_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Continue early."""
    monkeypatch.setattr(continuing, "DECISIONS", 2)


pytestmark = pytest.mark.usefixtures("after_two_decisions")


async def retry_until_failed(it: Initialization, step: str, times: int) -> None:
    """Retry a step that fails each time."""
    for _ in range(times):
        failed = len([action for action in await it.actions(step) if action == "failed"])
        await it.retry(step)
        async with asyncio.timeout(20):
            while (await it.actions(step)).count("failed") == failed:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await it.until("failed")


async def test_run_continues_and_keeps_all_it_knew(stage: Stage) -> None:
    steps = [
        planned("a"),
        planned("b", needs=["a"], optional=True),
        planned("c", after=["b"], arguments={"from_a": "${{ steps.a.result.made }}"}),
    ]
    it = await stage.start(steps, {"b": ["final"], "c": ["final", "ok"]})
    await it.until("failed")
    await retry_until_failed(it, "b", 1)
    assert await it.runs() == 1
    await retry_until_failed(it, "b", 1)
    assert await it.runs() == 2
    assert await it.as_the_workflow_sees_it() == {
        "a": "completed", "b": "failed", "c": "pending"
    }  # fmt: skip
    await it.skip("b")
    await it.until_step("c", "failed")
    await it.retry("c")
    assert await it.closes() == "COMPLETED"
    assert await it.statuses() == {"a": "completed", "b": "skipped", "c": "completed"}
    assert it.script.seen["c"][1]["from_a"] == "a/1"
    assert len(it.script.seen["a"]) == 1
    newest = stage.client.get_workflow_handle(it.handle.id)
    assert (await it.row())["run_id"] == (await newest.describe()).run_id


async def test_steps_start_in_the_run_that_goes_on(stage: Stage) -> None:
    steps = [planned("a"), planned("b", needs=["a"]), planned("c", needs=["b"])]
    it = await stage.start(steps, {"a": ["final", "final", "ok"]})
    await it.until("failed")
    await retry_until_failed(it, "a", 1)
    await it.retry("a")
    assert await it.closes() == "COMPLETED"
    assert await it.runs() == 2
    actions = [event["action"] for event in await it.events()]
    assert "continued" in actions
    assert "reopened" not in actions


@pytest.mark.parametrize("limit", ["MOST_DECISIONS", "MOST_EVENTS", "MOST_BYTES"])
async def test_nothing_starts_any_more_once_it_is_due(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(continuing, "DECISIONS", 1_000_000)
    it = await stage.start([planned("a"), planned("b")], {"a": ["final", "ok"], "b": ["wait"]})
    await it.until_step("a", "failed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(continuing, limit, 1)
        await it.retry("a")
        await asyncio.sleep(0.3)
        assert (await it.statuses())["a"] == "pending"
    it.script.released.set()
    assert await it.closes() == "COMPLETED"
    assert await it.runs() == 2


async def test_rollback_after_continuing_has_the_results(stage: Stage) -> None:
    steps = [
        planned("a", undo=undone_by_script("a")),
        planned("b", undo=undone_by_script("b"), needs=["a"]),
        planned("c", needs=["b"]),
    ]
    it = await stage.start(steps, {"c": ["final"], "a": ["large"]})
    await it.until("failed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(continuing, "LARGEST_INPUT", 1000)
        await retry_until_failed(it, "c", 2)
    assert await it.runs() == 2
    await it.cancel(undo=True)
    assert await it.closes() == "CANCELED"
    assert it.script.undone == ["b", "a"]
    assert it.script.undo_results["a"]["made"] == "a/1"


async def test_results_too_long_to_go_along_are_read_from_the_record(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuing, "LARGEST_INPUT", 100_000)
    steps = [
        planned("a"),
        planned("b"),
        planned("c", needs=["a", "b"], arguments={
            "from_a": "${{ steps.a.result.made }}", "from_b": "in ${{ steps.b.result.made }}",
        }),
    ]  # fmt: skip
    it = await stage.start(steps, {"a": ["large"], "c": ["final", "final", "final", "ok"]})
    await it.until("failed")
    await retry_until_failed(it, "c", 2)
    await it.retry("c")
    assert await it.closes() == "COMPLETED"
    assert await it.runs() == 2
    assert it.script.seen["c"][3]["from_a"] == "a/1"
    assert it.script.seen["c"][3]["from_b"] == "in b/1"


async def test_time_limit_counts_from_the_first_run(stage: Stage) -> None:
    it = await stage.start([planned("a")], {"a": ["final"]}, time_limit=3600.0)
    await it.until("failed")
    await stage.env.sleep(timedelta(minutes=50))
    await retry_until_failed(it, "a", 2)
    assert await it.runs() == 2
    assert await it.closes() == "FAILED"
    assert "time limit" in (await it.row())["initialization_error"]
    # Not by the server's clock: it leaps ahead while a local activity runs.
    history = await stage.client.get_workflow_handle(it.handle.id).fetch_history()
    limit = next(
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        for event in history.events
        if event.HasField("timer_started_event_attributes")
    )
    assert limit < timedelta(minutes=10)


async def test_cancel_right_after_the_decision_that_makes_it_continue_is_heard(
    stage: Stage,
) -> None:
    it = await stage.start([planned("a")], {"a": ["final"]})
    await it.until("failed")
    await retry_until_failed(it, "a", 1)
    await it.retry("a")
    await stage.client.get_workflow_handle(it.handle.id).cancel()
    assert await it.closes() == "CANCELED"
    assert (await it.row())["status"] == "cancelled"


async def test_decisions_that_meet_the_change_of_runs_are_taken_or_refused(stage: Stage) -> None:
    it = await stage.start([planned("a")], {"a": ["final"]})
    await it.until("failed")
    taken = 0
    for _ in range(25):
        try:
            await it.retry("a")
            taken += 1
        except WorkflowUpdateFailedError:
            await asyncio.sleep(0.01)
    await it.until("failed")
    async with asyncio.timeout(20):
        while len(it.script.seen["a"]) < taken + 1:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert [event["action"] for event in await it.events()].count("retried") == taken * 2
    assert len(it.script.seen["a"]) == taken + 1
    assert await it.runs() > 2
    await it.cancel()
    assert await it.closes() == "CANCELED"


async def test_parameters_that_were_changed_go_along(stage: Stage) -> None:
    bad, good = [planned("a", arguments={"value": "bad"})], [
        planned("a", arguments={"value": "good"})
    ]  # fmt: skip
    it = await stage.start(bad, {"a": ["final", "final", "final", "ok"]}, parameters={"v": "bad"})
    await it.until("failed")
    await it.retry("a", plan=a_plan(good), parameters={"v": "good"})
    await it.until_runs("a", 2)
    await retry_until_failed(it, "a", 1)
    await it.retry("a")
    assert await it.closes() == "COMPLETED"
    assert await it.runs() == 2
    assert [run["value"] for run in it.script.seen["a"]] == ["bad", "good", "good", "good"]
