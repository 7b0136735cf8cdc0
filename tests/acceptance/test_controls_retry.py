"""Retry runs failed steps and their dependents, and no completed step."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from stepway_tracking.worker.attempt import TrackedAttempt
from tests.acceptance.conftest import StartStepway
from tests.support.controls import actions, activities_of, runs_of, statuses
from tests.support.servers import Json, Stepway, write_blueprint

VALUE = {"type": "object", "properties": {"value": {"type": "string", "default": "bad"}}}


def chain(**fixable: Json) -> list[Json]:
    """Steps: one succeeds, one fails until it is fixed, one depends on that."""
    return [
        {"step": "first"},
        {"step": "doomed", "uses": "fixable", **fixable},
        {"step": "last"},
    ]


async def fix(stepway: Stepway, step: str) -> None:
    (stepway.folder / f"{step}.fixed").touch()


async def test_only_the_failed_step_and_what_follows_run_again(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, chain())
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await fix(stepway, "doomed")
        answer = await stepway.control(project, "steps/doomed/retry")
        assert answer.status_code == 202, answer.text
        assert answer.json()["project"]["status"] == "initializing"
        done = await stepway.until(project, "active")

        assert (stepway.runs("first"), stepway.runs("doomed"), stepway.runs("last")) == (1, 2, 1)
        assert await activities_of(temporal, project) == ["work", "fixable", "fixable", "work"]
        tried = [
            (a["round"], a["attempt"], a["outcome"], a["error"])
            for a in await stepway.attempts(project, "doomed")
        ]
        assert tried == [(1, 1, "failed", "The value None is no good."), (2, 1, "completed", None)]
        assert len(await stepway.attempts(project, "first")) == 1
        assert done["project"]["initialization_error"] is None
        assert done["progress"] == 100


@pytest.mark.parametrize("control", ["steps/doomed/retry", "retry", "steps/doomed/skip"])
async def test_a_control_right_after_the_failure_is_recorded_is_taken(
    start_stepway: StartStepway, folder: Path, monkeypatch: pytest.MonkeyPatch, control: str
) -> None:
    record = TrackedAttempt._record_failure

    async def recorded_early(*given: Any) -> bool:
        is_last = await record(*given)
        # Only then does the workflow know of the failure.
        await asyncio.sleep(1)
        return is_last

    monkeypatch.setattr(TrackedAttempt, "_record_failure", recorded_early)
    first, doomed, last = chain()
    blueprint = write_blueprint(folder, [first, {**doomed, "optional": True}, last])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "doomed", "failed")
        await fix(stepway, "doomed")
        answer = await stepway.control(
            project, control, {"reason": "now"} if "skip" in control else {}
        )
        assert answer.status_code == 202, answer.text
        await stepway.until(project, "active")


async def test_history_says_who_retried_and_when(start_stepway: StartStepway, folder: Path) -> None:
    blueprint = write_blueprint(folder, chain())
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await fix(stepway, "doomed")
        await stepway.control(project, "steps/doomed/retry")
        await stepway.until(project, "active")

        history = await stepway.history(project)
        assert actions(history, step="doomed") == [
            "started",
            "failed",
            "retried",
            "started",
            "completed",
        ]
        retried = [event for event in history if event["action"] == "retried"]
        assert [(e["type"], e["step"], e["actor"]) for e in retried] == [
            ("step", "doomed", "local"),
            ("project", None, "local"),
        ]
        assert all(event["at"] for event in retried)


async def test_fix_and_retry_runs_with_the_changed_parameter_and_history_says_what_changed(
    start_stepway: StartStepway, folder: Path
) -> None:
    given = {"value": "${{ parameters.value }}"}
    blueprint = write_blueprint(folder, chain(**{"with": given}), parameters=VALUE)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        failed = await stepway.until(project, "failed")
        assert failed["project"]["parameters"] == {"value": "bad"}

        refused = await stepway.control(project, "steps/doomed/retry", {"parameters": {"value": 3}})
        assert refused.status_code == 422
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/parameters/value"]
        assert (await stepway.steps(project))["doomed"]["status"] == "failed"

        taken = await stepway.control(
            project, "steps/doomed/retry", {"parameters": {"value": "good"}}
        )
        assert taken.status_code == 202, taken.text
        done = await stepway.until(project, "active")
        assert done["project"]["parameters"] == {"value": "good"}
        assert (await stepway.steps(project))["doomed"]["metadata"]["value"] == "good"

        [event] = [
            e
            for e in await stepway.history(project)
            if (e["action"], e["step"]) == ("retried", "doomed")
        ]
        said = event["payload"]["step"]["metadata"]["retry"]
        assert said == {"actor": "local", "parameters": {"value": {"from": "bad", "to": "good"}}}


async def test_parameter_that_is_not_editable_is_422_and_nothing_runs(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(folder, chain(), parameters=VALUE, editable=[])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        refused = await stepway.control(
            project, "steps/doomed/retry", {"parameters": {"value": "good"}}
        )

        assert refused.status_code == 422
        assert "cannot be changed" in refused.text
        assert stepway.runs("doomed") == 1


async def test_retry_of_all_takes_every_failed_step(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "left", "uses": "fixable", "needs": []},
            {"step": "right", "uses": "fixable", "needs": []},
            {"step": "both", "needs": ["left", "right"]},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        failed = await stepway.until(project, "failed")
        assert statuses(failed) == {"left": "failed", "right": "failed", "both": "pending"}
        await fix(stepway, "left")
        await fix(stepway, "right")
        assert (await stepway.control(project, "retry")).status_code == 202
        await stepway.until(project, "active")

        assert [stepway.runs(step) for step in ("left", "right", "both")] == [2, 2, 1]


async def test_a_failed_step_can_be_retried_while_others_still_run(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "doomed", "uses": "fixable", "needs": []},
            {"step": "slow", "uses": "gate", "needs": []},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "doomed", "failed")
        await fix(stepway, "doomed")
        assert (await stepway.control(project, "steps/doomed/retry")).status_code == 202
        await stepway.until_step(project, "doomed", "completed")
        assert (await stepway.steps(project))["slow"]["status"] == "running"
        stepway.open_gate("slow")
        await stepway.until(project, "active")
        assert stepway.runs("slow") == 1


async def test_of_two_clicks_at_once_one_is_taken_and_the_step_runs_once(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, chain())
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await fix(stepway, "doomed")
        clicks = [stepway.control(project, "steps/doomed/retry") for _ in range(5)]
        answers = await asyncio.gather(*clicks)

        assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
        await stepway.until(project, "active")
        assert stepway.runs("doomed") == 2
        assert actions(await stepway.history(project), step="doomed").count("retried") == 1
        assert await runs_of(temporal, project) == 1


async def test_a_step_may_fail_in_many_rounds_and_all_are_kept(
    start_stepway: StartStepway, folder: Path
) -> None:
    retry = {"maximum_attempts": 2, "initial_interval": 0.05}
    steps = [{"step": "shaky", "uses": "flaky", "with": {"times": 5}, "retry": retry}]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        for _ in range(2):
            await stepway.until(project, "failed")
            assert (await stepway.control(project, "steps/shaky/retry")).status_code == 202
            await stepway.until_step(project, "shaky", "running")
        await stepway.until(project, "active")

        attempts = await stepway.attempts(project, "shaky")
        assert [(a["round"], a["attempt"]) for a in attempts] == [
            (1, 1),
            (1, 2),
            (2, 1),
            (2, 2),
            (3, 1),
            (3, 2),
        ]
        assert [a["outcome"] for a in attempts] == ["failed"] * 5 + ["completed"]


async def test_preview_says_what_would_run_what_stays_and_what_exists(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "made", "with": {"value": 7}, "undo": {"uses": "undo"}},
            {"step": "plain"},
            {"step": "doomed", "uses": "fixable"},
            {"step": "last"},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        before = await stepway.until(project, "failed")
        path = f"/api/projects/{project}/initialization/steps/doomed/retry"
        preview = (await stepway.http.get(path)).json()

        assert preview["runs"] == ["doomed", "last"]
        assert preview["keeps"] == ["made", "plain"]
        [made] = preview["objects"]
        assert made["step"] == "made"
        assert made["display_name"] == "Made"
        assert made["what"]["value"] == 7
        assert (await stepway.initialization(project))["version"] == before["version"]
        assert stepway.runs("doomed") == 1

        refused = await stepway.http.get(path.replace("doomed", "made"))
        assert refused.status_code == 409
        assert "made is completed" in refused.json()["detail"]
        unknown = await stepway.http.get(path.replace("doomed", "nothing"))
        assert unknown.status_code == 404
        assert "made, plain, doomed, last" in unknown.json()["detail"]
