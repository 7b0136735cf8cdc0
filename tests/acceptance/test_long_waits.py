"""Initializations that wait for long: their workflow continues in new runs, on Temporal itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from stepway.runtime.settings import Settings
from stepway.workflows.engine import continuing
from stepway_tracking.workflow.search_attributes import BLUEPRINT, PROJECT, STATUS, STEPS
from tests.acceptance.conftest import StartStepway
from tests.support.controls import (
    actions,
    runs_of,
    status_of,
    statuses,
    sweep,
    until_closed,
    until_ended,
    workflow_of,
)
from tests.support.servers import Stepway, eventually, write_blueprint

TWO_VALUES = {
    "type": "object",
    "properties": {
        "left": {"type": "string", "default": "bad"},
        "right": {"type": "string", "default": "bad"},
    },
}


@pytest.fixture(autouse=True)
def after_two_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Continue early."""
    monkeypatch.setattr(continuing, "DECISIONS", 2)
    monkeypatch.setattr(continuing, "MOST_DECISIONS", 4)


async def retry_in_vain(stepway: Stepway, project: str, step: str) -> None:
    """Retry a step that fails again."""
    runs = stepway.runs(step)
    answer = await stepway.control(project, f"steps/{step}/retry")
    assert answer.status_code == 202, answer.text

    async def failed_again() -> bool:
        return stepway.runs(step) > runs

    await eventually(failed_again)
    await stepway.until_step(project, step, "failed")
    await stepway.until(project, "failed")


async def test_everything_goes_on_in_the_new_run(
    start_stepway: StartStepway,
    folder: Path,
    temporal: Client,
    servers: Settings,
    pool: asyncpg.Pool,
) -> None:
    steps = [{"step": "first"}, {"step": "doomed", "uses": "fixable"}, {"step": "last"}]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        first = await workflow_of(temporal, project).describe()
        await retry_in_vain(stepway, project, "doomed")
        await retry_in_vain(stepway, project, "doomed")

        async def continued() -> bool:
            return await runs_of(temporal, project) == 2

        await eventually(continued)
        newest = await workflow_of(temporal, project).describe()
        assert newest.run_id != first.run_id
        assert newest.status is WorkflowExecutionStatus.RUNNING
        found = newest.typed_search_attributes
        kept = (PROJECT, BLUEPRINT)
        assert [found.get(key) for key in kept] == [
            first.typed_search_attributes.get(key) for key in kept
        ]
        assert found.get(STATUS) == "failed"
        assert found.get(STEPS) == ["doomed"]

        await sweep(servers, pool, temporal)
        shown = await stepway.initialization(project)
        assert shown["project"]["status"] == "failed"
        assert shown["project"]["run_id"] == newest.run_id
        assert "reconciled" not in actions(await stepway.history(project))

        (stepway.folder / "doomed.fixed").touch()
        answer = await stepway.control(project, "steps/doomed/retry")
        assert answer.status_code == 202, answer.text
        await stepway.until(project, "active")
        assert (stepway.runs("first"), stepway.runs("doomed"), stepway.runs("last")) == (1, 4, 1)
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.COMPLETED


async def test_cancel_after_continuing_rolls_back_what_the_first_run_made(
    start_stepway: StartStepway, folder: Path, temporal: Client
) -> None:
    undo = {"uses": "undo", "with": {"folder": str(folder), "name": "first"}}
    steps = [{"step": "first", "undo": undo}, {"step": "doomed", "uses": "broken"}]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        for _ in range(2):
            await retry_in_vain(stepway, project, "doomed")
        answer = await stepway.control(project, "cancel", {"undo": True})
        assert answer.status_code == 202, answer.text
        await until_ended(stepway, project, "cancelled")
        assert (folder / "undone").read_text() == "first\n"
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.CANCELED
        assert await runs_of(temporal, project) == 2


async def test_requests_that_meet_the_change_of_runs_are_done_or_refused(
    start_stepway: StartStepway, folder: Path, temporal: Client
) -> None:
    steps = [{"step": f"step_{n}", "uses": "broken", "needs": []} for n in range(4)]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")

        async def press(step: str) -> list[int]:
            paths = [f"steps/{step}/retry"] * 8
            return [(await stepway.control(project, path)).status_code for path in paths]

        answers = await asyncio.gather(*(press(each["step"]) for each in steps))
        codes = [code for each in answers for code in each]
        assert set(codes) <= {202, 409}

        async def continued_often() -> bool:
            return await runs_of(temporal, project) > 2

        await eventually(continued_often)

        async def all_ran() -> bool:
            ran = sum(stepway.runs(each["step"]) for each in steps)
            return ran == len(steps) + codes.count(202)

        await eventually(all_ran)
        await stepway.until(project, "failed")
        assert await status_of(temporal, project) is WorkflowExecutionStatus.RUNNING


async def test_ended_initialization_with_results_beyond_temporals_limit_can_be_retried(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps = [
        *({"step": f"large_{n}", "uses": "large", "with": {"times": 600_000}} for n in range(4)),
        {"step": "doomed", "uses": "fixable"},
        {"step": "last", "with": {"value": "${{ steps.large_3.result.name }}"}},
    ]
    blueprint = write_blueprint(folder, steps, time_limit=20.0)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await until_ended(stepway, project, "failed")
        (stepway.folder / "doomed.fixed").touch()
        answer = await stepway.control(project, "steps/doomed/retry")
        assert answer.status_code == 202, answer.text
        done = await stepway.until(project, "active")
        assert [stepway.runs(f"large_{n}") for n in range(4)] == [1, 1, 1, 1]
        assert done["steps"][-1]["metadata"]["value"] == "large_3"


async def test_two_retries_at_once_keep_both_changes_of_parameters(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps = [
        {"step": side, "uses": "fixable", "needs": [],
         "with": {"value": f"${{{{ parameters.{side} }}}}"}}
        for side in ("left", "right")
    ]  # fmt: skip
    blueprint = write_blueprint(folder, steps, parameters=TWO_VALUES)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        for side in ("left", "right"):
            await stepway.until_step(project, side, "failed")
        await stepway.until(project, "failed")
        answers = await asyncio.gather(
            *(
                stepway.control(project, f"steps/{side}/retry", {"parameters": {side: "good"}})
                for side in ("left", "right")
            )
        )
        assert [answer.status_code for answer in answers] == [202, 202]
        done = await stepway.until(project, "active")
        assert done["project"]["parameters"] == {"left": "good", "right": "good"}
        assert set(statuses(done).values()) == {"completed"}
