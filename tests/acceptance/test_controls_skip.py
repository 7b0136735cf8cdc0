"""Skip a failed step with a reason, if the blueprint allows it."""

from __future__ import annotations

from pathlib import Path

from temporalio.client import Client

from tests.acceptance.conftest import StartStepway
from tests.support.controls import actions, run_and_events, statuses
from tests.support.servers import Json, write_blueprint

STEPS: list[Json] = [
    {"step": "doomed", "uses": "broken", "optional": True},
    {"step": "needy", "needs": ["doomed"]},
    {"step": "needier", "needs": ["needy"]},
    {"step": "easy", "after": ["doomed"], "with": {"value": "${{ steps.doomed.result.value }}"}},
]


async def test_skipped_step_takes_those_along_that_need_it_and_no_others(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(folder, STEPS)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        answer = await stepway.control(project, "steps/doomed/skip", {"reason": "no host yet"})
        assert answer.status_code == 202, answer.text
        done = await stepway.until(project, "active")

        assert statuses(done) == {
            "doomed": "skipped",
            "needy": "skipped",
            "needier": "skipped",
            "easy": "completed",
        }
        steps = await stepway.steps(project)
        assert steps["doomed"]["metadata"]["reason"] == "no host yet"
        assert steps["doomed"]["metadata"]["skipped_by"] == "local"
        assert steps["doomed"]["error"] is None
        assert "needs doomed" in steps["needy"]["metadata"]["reason"]
        assert "needs needy" in steps["needier"]["metadata"]["reason"]
        assert done["progress"] == 100
        assert stepway.runs("doomed") == 1


async def test_history_says_who_skipped_and_why(start_stepway: StartStepway, folder: Path) -> None:
    blueprint = write_blueprint(folder, STEPS)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await stepway.control(project, "steps/doomed/skip", {"reason": "no host yet"})
        await stepway.until(project, "active")

        history = await stepway.history(project)
        assert actions(history, step="doomed") == ["started", "failed", "skipped"]
        skipped = next(event for event in history if event["action"] == "skipped")
        assert skipped["actor"] == "local"
        assert skipped["payload"]["step"]["metadata"]["reason"] == "no host yet"


async def test_step_that_is_not_optional_is_409_and_nothing_enters_history(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "doomed", "uses": "broken"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        before = await stepway.until(project, "failed")
        asked = await run_and_events(temporal, project)
        refused = await stepway.control(project, "steps/doomed/skip", {"reason": "please"})

        assert refused.status_code == 409
        assert "does not mark it as optional" in refused.json()["detail"]
        assert await run_and_events(temporal, project) == asked
        assert (await stepway.initialization(project))["version"] == before["version"]


async def test_skip_without_a_reason_is_422(start_stepway: StartStepway, folder: Path) -> None:
    blueprint = write_blueprint(folder, STEPS)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "a\0b"}):
            refused = await stepway.control(project, "steps/doomed/skip", body)
            assert refused.status_code == 422, body
            assert [error["pointer"] for error in refused.json()["errors"]] == ["/reason"]
        assert (await stepway.steps(project))["doomed"]["status"] == "failed"


async def test_after_a_skip_another_failure_still_waits_for_its_own_decision(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "left", "uses": "broken", "optional": True, "needs": []},
            {"step": "right", "uses": "broken", "optional": True, "needs": []},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        assert (
            await stepway.control(project, "steps/left/skip", {"reason": "a"})
        ).status_code == 202
        waiting = await stepway.until(project, "failed")
        assert statuses(waiting) == {"left": "skipped", "right": "failed"}
        assert (
            await stepway.control(project, "steps/right/skip", {"reason": "b"})
        ).status_code == 202
        await stepway.until(project, "active")
