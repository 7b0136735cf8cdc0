"""Arguments and workflow tasks stay within Temporal's limits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from stepway.worker import RUNNER
from stepway.workflows.engine import continuing, sizes
from stepway.workflows.initialize_project import InitializeProject
from stepway.workflows.model.plan import PlannedStep
from tests.support.scripted import Initialization, Stage, planned, undone_by_script

ADVICE = "Temporal takes at most 2 MB. Pass addresses of large data instead of the data."


def takes(step: str, *others: str, **more: object) -> PlannedStep:
    """A step whose arguments hold the results of others."""
    data = [f"${{{{ steps.{other}.result }}}}" for other in others]
    return planned(step, needs=[*others], arguments={"data": data}, **more)


async def histories_of(it: Initialization) -> list[WorkflowHistory]:
    """The history of each run, the first one first. Each must replay.

    A history of some MB makes the test server suggest to continue as new.
    """
    replayer = Replayer(workflows=[InitializeProject], workflow_runner=RUNNER)
    found: list[WorkflowHistory] = []
    run_id: str | None = None
    while not found or run_id:
        handle = it.stage.client.get_workflow_handle(it.handle.id, run_id=run_id)
        found.insert(0, await handle.fetch_history())
        await replayer.replay_workflow(found[0])
        started = found[0].events[0].workflow_execution_started_event_attributes
        run_id = started.continued_execution_run_id
    return found


def sent_by_task(histories: list[WorkflowHistory]) -> list[int]:
    """The bytes of the arguments and results that each workflow task has sent."""
    sent = [0]
    for event in (event for history in histories for event in history.events):
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                sent.append(0)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                sent[-1] += event.ByteSize()
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                sent[-1] += event.ByteSize()
    return sent


async def test_steps_that_take_much_together_start_in_several_workflow_tasks(stage: Stage) -> None:
    takers = [takes(f"b{n}", "a") for n in range(5)]
    it = await stage.start([planned("a"), *takers], {"a": ["larger"]})
    assert await it.closes() == "COMPLETED"
    assert {len(it.script.seen[step.step]) for step in takers} == {1}
    assert it.script.seen["b4"][0]["data"][0]["text"] == "x" * 1_000_000
    sent = sent_by_task(await histories_of(it))
    assert [size // 1_000_000 for size in sent if size > 1_000_000] == [2, 2, 1]


async def test_activities_one_after_the_other_wait_for_no_room(stage: Stage) -> None:
    steps = [planned("a0", undo=undone_by_script("a0"))]
    for n in range(1, 6):
        before = f"a{n - 1}"
        steps.append(takes(f"a{n}", before, undo=undone_by_script(f"a{n}")))
    steps.append(planned("open"))
    large = {f"a{n}": ["large"] for n in range(6)}
    it = await stage.start(steps, {**large, "open": ["hang"]})
    await it.until_step("a5", "completed")
    await it.cancel(undo=True)
    assert await it.closes() == "CANCELED"
    assert it.script.undone == [f"a{n}" for n in reversed(range(6))]
    [history] = await histories_of(it)
    timers = [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        for event in history.events
        if event.HasField("timer_started_event_attributes")
    ]
    # The one pause of a millisecond is that before the cancel is written.
    assert timers.count(timedelta(milliseconds=1)) == 1


async def test_step_with_too_large_arguments_fails_without_an_attempt(stage: Stage) -> None:
    steps = [planned("a"), planned("b"), takes("c", "a", "b"), planned("d", needs=["a"])]
    it = await stage.start(steps, {"a": ["larger"], "b": ["larger"]})
    await it.until("failed")
    error = f"The arguments of the step have 2.1 MB; {ADVICE}"
    assert (await it.steps())["c"]["error"] == error
    assert "c" not in it.script.seen
    assert (await it.statuses())["d"] == "completed"
    await it.cancel()
    assert await it.closes() == "CANCELED"
    await histories_of(it)


async def test_rollback_with_too_large_arguments_has_failed_with_the_reason(stage: Stage) -> None:
    undo = undone_by_script("b")
    undo.arguments["data"] = "y" * 300_000
    steps = [
        planned("a", undo=undone_by_script("a")),
        planned("b", needs=["a"], undo=undo),
        planned("c", needs=["b"]),
    ]
    it = await stage.start(steps, {"b": ["largest"], "c": ["final"]})
    await it.until("failed")
    await it.cancel(undo=True)
    assert await it.closes() == "CANCELED"
    assert it.script.undone == ["a"]
    reason = f"The arguments of the rollback have 2.3 MB; {ADVICE}"
    assert (await it.row())["initialization_error"].splitlines() == [
        "1 of 2 steps rolled back, 1 could not be.",
        f"B was not rolled back: {reason}",
    ]
    assert await it.actions("b") == ["started", "completed", "undo_failed"]
    await histories_of(it)


async def test_results_from_the_record_are_read_in_several_workflow_tasks(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuing, "DECISIONS", 1)
    monkeypatch.setattr(continuing, "LARGEST_INPUT", 100_000)
    made = [planned(f"a{n}") for n in range(4)]
    gate = planned("gate")
    takers = [
        planned(f"b{n}", needs=["gate", f"a{n}", "a0"], arguments={
            "own": f"${{{{ steps.a{n}.result }}}}", "first": "${{ steps.a0.result.made }}",
        }) for n in range(4)
    ]  # fmt: skip
    script = {step.step: ["larger"] for step in made}
    it = await stage.start([*made, gate, *takers], {**script, "gate": ["final", "final", "ok"]})
    await it.until("failed")
    await it.retry("gate")
    await it.until_runs("gate", 2)
    await it.retry("gate")
    assert await it.closes() == "COMPLETED"
    assert await it.runs() > 1
    for n in range(4):
        assert it.script.seen[f"b{n}"][0]["own"]["made"] == f"a{n}/1"
        assert it.script.seen[f"b{n}"][0]["first"] == "a0/1"
    sent = sent_by_task(await histories_of(it))
    assert 1_000_000 < max(sent) < sizes.LARGEST_TASK + 100_000


async def test_cancel_stops_the_steps_that_wait_for_room(stage: Stage) -> None:
    takers = [takes(f"b{n}", "a") for n in range(5)]
    hangs = {step.step: ["hang"] for step in takers}
    it = await stage.start([planned("a"), *takers], {"a": ["larger"], **hangs})
    await it.until_step("b0", "running")
    await it.cancel()
    assert await it.closes() == "CANCELED"
    statuses = await it.statuses()
    assert {statuses[step.step] for step in takers} <= {"failed", "skipped"}
    await histories_of(it)
