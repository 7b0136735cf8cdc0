"""Whatever happens in whatever order, the workflow loses nothing.

Hypothesis draws plans, what each run of each step does, and what people, Temporal and the record do
to the initialization meanwhile. Then the record, the workflow's memory and its history must agree.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RetryPolicy
from temporalio.service import RPCError
from temporalio.worker import Replayer

from stepway.worker import RUNNER
from stepway.workflows.engine import continuing, ending
from stepway.workflows.initialize_project import InitializeProject
from stepway.workflows.model.plan import PlannedStep, RetryPlan
from stepway_tracking.workflow import recording
from tests.support.scripted import Initialization, Stage, planned, undone_by_script

NAMES = ("a", "b", "c", "d")

RUNS = (
    "ok", "ok", "ok lost", "error", "final", "skip", "skip lost", "imported", "late", "late lost",
    "wait", "stubborn",
)  # fmt: skip

TIMES = timedelta(seconds=0), timedelta(seconds=2), timedelta(minutes=10)


@dataclass
class Story:
    """One initialization and what happens to it."""

    steps: list[PlannedStep]
    runs: dict[str, list[str]]
    acts: list[tuple[str, Any]]
    finish: str
    time_limit: float = 7 * 86400.0


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Up to four steps that wait for each other, and up to seven acts."""
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    steps, runs = [], {}
    for number, name in enumerate(names):
        before = st.sets(st.sampled_from(names[:number])) if number else st.just(set[str]())
        needs = sorted(draw(before))
        runs[name] = draw(st.lists(st.sampled_from(RUNS), min_size=1, max_size=3))
        hangs = draw(st.integers(0, 9)) == 0
        if hangs:
            runs[name] = ["hang", *runs[name]]
        steps.append(
            planned(
                name,
                needs=needs,
                after=sorted(draw(before) - set(needs)),
                optional=draw(st.booleans()),
                undo=undone_by_script(name) if draw(st.booleans()) else None,
                timeout=0.5 if hangs else 600.0,
                retry=RetryPlan(maximum_attempts=draw(st.integers(1, 2)), initial_interval=1.0),
                arguments={"made": {need: f"${{{{ steps.{need}.result }}}}" for need in needs}},
            )
        )
    step = st.sampled_from(names)
    act = st.one_of(
        st.tuples(st.just("retry"), step),
        st.tuples(st.just("retry all"), st.none()),
        st.tuples(st.just("skip"), step),
        st.tuples(st.just("cancel"), st.booleans()),
        st.tuples(st.just("cancel in Temporal"), st.none()),
        st.tuples(st.just("time passes"), st.sampled_from(TIMES)),
        st.tuples(st.just("release"), st.none()),
        st.tuples(st.just("away"), st.integers(1, 4)),
        st.tuples(st.just("losing"), st.integers(1, 3)),
        st.tuples(st.just("until failed"), st.none()),
    )
    acts = draw(st.lists(act, max_size=7))
    return Story(steps, runs, acts, draw(st.sampled_from(["time", "cancel", "roll back"])))


@pytest.fixture(scope="module", autouse=True)
def small_limits() -> Iterator[None]:
    """Short graces and pauses, and runs that continue often."""
    quick = RetryPolicy(maximum_attempts=3, maximum_interval=timedelta(seconds=0.02))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ending, "GRACE", timedelta(seconds=0.3))
        patch.setattr(continuing, "DECISIONS", 2)
        patch.setattr(
            recording, "_AT_ONCE", replace(quick, initial_interval=timedelta(seconds=0.02))
        )
        yield


EXAMPLES = os.environ.get("EXAMPLES")
"""How many random stories to try; without it the same few each time."""


@settings(
    max_examples=int(EXAMPLES or 40),
    derandomize=EXAMPLES is None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=stories())
async def test_nothing_is_lost(stage: Stage, story: Story) -> None:
    async with asyncio.timeout(100):
        it = await stage.start(story.steps, story.runs, time_limit=story.time_limit)
        for act, argument in story.acts:
            await take(it, act, argument)
        it.script.released.set()
        if story.finish != "time":
            await take(it, "cancel", story.finish == "roll back")
        closed = await it.closes()
        await check(it, story, closed)


async def take(it: Initialization, act: str, argument: Any) -> None:
    """Do one thing to an initialization, which may refuse it."""
    newest = it.stage.client.get_workflow_handle(it.handle.id)
    if "cancel" in act:
        await it.rests()
    try:
        match act:
            case "retry":
                await it.retry(argument)
            case "retry all":
                await it.retry()
            case "skip":
                await it.skip(argument)
            case "cancel":
                await it.cancel(undo=argument)
            case "cancel in Temporal":
                await newest.cancel()
            case "time passes":
                await it.stage.env.sleep(argument)
            case "release":
                it.script.released.set()
            case "away":
                it.troubles.away = argument
            case "losing":
                it.troubles.losing = argument
            case "until failed":
                async with asyncio.timeout(0.5):
                    await it.until("failed")
    except (WorkflowUpdateFailedError, RPCError, TimeoutError):
        return


async def check(it: Initialization, story: Story, closed: str) -> None:
    """The record, the workflow and its history agree, and nothing is lost."""
    row, rows = await it.row(), await it.steps()
    events = await it.events()
    statuses = {step: each["status"] for step, each in rows.items()}

    # It has ended as Temporal says, and said so once, at the end.
    expected = {"active": "COMPLETED", "cancelled": "CANCELED", "failed": "FAILED"}
    assert row["initialization_completed_at"] is not None
    assert expected[row["status"]] == closed
    assert [event["type"] for event in events].count("end") == 1
    assert events[-1]["type"] == "end"
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))

    # No step is left running, and none is passed over.
    done = {"active": {"completed", "skipped"}, "cancelled": {"completed", "skipped", "failed"}}
    possible = done.get(row["status"], {"completed", "skipped", "failed", "pending"})
    assert set(statuses.values()) <= possible
    assert all(each["error"] for each in rows.values() if each["status"] == "failed")
    assert all(attempt["ended_at"] for attempt in await it.attempts())
    assert await it.as_the_workflow_sees_it() == statuses

    for step in story.steps:
        actions = [event["action"] for event in events if event["step"] == step.step]
        # What has completed is completed, and neither fails nor runs again.
        assert actions.count("completed") <= 1
        for before, after in pairwise(a for a in actions if a not in ("slow", "progressed")):
            assert (before, after) not in {("completed", "failed"), ("completed", "started")}
        if statuses[step.step] == "completed":
            assert all(statuses[need] == "completed" for need in step.needs)
        # A step gets what the steps that it needs have returned.
        for run in it.script.seen.get(step.step, []):
            for need in step.needs:
                made = run["made"][need]
                assert made == {"skipped": 3} or made["made"].startswith(f"{need}/")

    # The project's error names what a rollback leaves behind.
    cancels = [event for event in events if event["action"] == "cancel_requested"]
    if story.finish == "roll back" and row["status"] == "cancelled" and len(cancels) == 1:
        told = row["initialization_error"] or ""
        asked_here = not any(act == "cancel" for act, _ in story.acts)
        for step in story.steps:
            if asked_here and step.undo and statuses[step.step] == "completed":
                assert rows[step.step]["undone_at"] is not None
            if asked_here and step.undo and statuses[step.step] == "failed":
                assert f"{step.step.upper()} had failed and was not rolled back" in told
        if asked_here:
            done = [step for step in story.steps if statuses[step.step] == "completed"]
            rolled_back = sum(rows[step.step]["undone_at"] is not None for step in done)
            without = sum(step.undo is None for step in done)
            counts = {"steps": len(done), "rolled_back": rolled_back, "without": without}
            assert json.loads(row["rollback"]) == {**counts, "failed": 0}

    # The same history leads to the same decisions.
    replayer = Replayer(workflows=[InitializeProject], workflow_runner=RUNNER)
    newest = it.stage.client.get_workflow_handle(it.handle.id)
    await replayer.replay_workflow(await newest.fetch_history())
