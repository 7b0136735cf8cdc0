"""Each control at each status of step and project: a refusal says why and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from stepway.api.commands import updates
from stepway.worker import running_worker
from tests.acceptance.conftest import StartStepway
from tests.support.controls import run_and_events, runs_of, statuses, until_closed, until_ended
from tests.support.servers import Json, Stepway, write_blueprint

STEPS: list[Json] = [
    {"step": "done", "needs": []},
    {"step": "left_out", "uses": "leave", "needs": []},
    {"step": "doomed", "uses": "broken", "needs": []},
    {"step": "held", "uses": "gate", "needs": []},
    {"step": "behind", "needs": ["doomed"]},
]

RUNNING = {
    "done": "completed",
    "left_out": "skipped",
    "doomed": "failed",
    "held": "running",
    "behind": "pending",
}


async def refuse_all(stepway: Stepway, project: str, said: dict[str, str]) -> None:
    """Assert that these controls are refused with 409 and this text, without an event."""
    before = await stepway.history(project)
    for path, words in said.items():
        body = {"reason": "because"} if path.endswith("skip") else {}
        answer = await stepway.control(project, path, body)
        assert answer.status_code == 409, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert words in answer.json()["detail"], (path, answer.text)
    assert await stepway.history(project) == before


@asynccontextmanager
async def history_untouched(temporal: Client, project: str) -> AsyncIterator[None]:
    """Assert that there is no new run and no event of a control."""
    before = await run_and_events(temporal, project), await runs_of(temporal, project)
    yield
    assert (await run_and_events(temporal, project), await runs_of(temporal, project)) == before


@asynccontextmanager
async def halfway(start_stepway: StartStepway, folder: Path) -> AsyncIterator[tuple[Stepway, str]]:
    """An initialization with a step at each status."""
    blueprint = write_blueprint(folder, STEPS)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        for step, status in RUNNING.items():
            await stepway.until_step(project, step, status)
        yield stepway, project


async def test_while_it_runs_only_the_failed_step_takes_a_control(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    async with halfway(start_stepway, folder) as (stepway, project):
        async with history_untouched(temporal, project):
            await refuse_all(
                stepway,
                project,
                {
                    "steps/done/retry": "done is completed. Completed steps are kept",
                    "steps/left_out/retry": "left_out is skipped",
                    "steps/held/retry": "held is running. Wait until it ends, or cancel",
                    "steps/behind/retry": "behind is pending. It has not run yet",
                    "steps/done/skip": "Only failed steps can be skipped, but done is completed",
                    "steps/left_out/skip": "left_out is skipped",
                    "steps/held/skip": "held is running",
                    "steps/behind/skip": "behind is pending",
                    "steps/doomed/skip": "does not mark it as optional. Retry it, or cancel",
                },
            )
        stepway.open_gate("held")
        assert (await stepway.control(project, "steps/doomed/retry")).status_code == 202
        await stepway.until(project, "failed")
        assert stepway.runs("doomed") == 2


async def test_while_it_is_being_cancelled_nothing_more_is_taken(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps = [*STEPS, {"step": "deaf", "uses": "silent", "with": {"seconds": 3}, "needs": []}]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        for step, status in {**RUNNING, "deaf": "running"}.items():
            await stepway.until_step(project, step, status)
        assert (await stepway.control(project, "cancel")).status_code == 202
        already = "The initialization is already being cancelled."
        later = "The initialization is being cancelled. Retry it when it has been cancelled."
        expected = {"cancel": already, "retry": later, "steps/doomed/retry": later}
        for path, detail in expected.items():
            answer = await stepway.control(project, path)
            assert (answer.status_code, answer.json()["detail"]) == (409, detail)
        preview = await stepway.http.get(f"/api/projects/{project}/initialization/cancel")
        assert (preview.status_code, preview.json()["detail"]) == (409, already)
        await until_ended(stepway, project, "cancelled")


async def test_while_nothing_has_failed_there_is_nothing_to_retry(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "held", "uses": "gate"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        async with history_untouched(temporal, project):
            await refuse_all(stepway, project, {"retry": "no step has failed"})
        stepway.open_gate("held")
        await stepway.until(project, "active")


async def test_while_it_waits_only_the_failed_step_takes_a_control(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    async with halfway(start_stepway, folder) as (stepway, project):
        stepway.open_gate("held")
        await stepway.until(project, "failed")
        async with history_untouched(temporal, project):
            await refuse_all(
                stepway,
                project,
                {
                    "steps/done/retry": "done is completed",
                    "steps/left_out/retry": "left_out is skipped",
                    "steps/held/skip": "held is completed",
                    "steps/behind/retry": "behind is pending",
                    "steps/behind/skip": "behind is pending",
                    "steps/doomed/skip": "does not mark it as optional",
                },
            )


async def test_active_project_refuses_every_control(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "done"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        await until_closed(temporal, project)
        said = "The initialization has ended: the project is active"
        paths = ["retry", "cancel", "steps/done/retry", "steps/done/skip"]
        async with history_untouched(temporal, project):
            await refuse_all(stepway, project, dict.fromkeys(paths, said))
            preview = f"/api/projects/{project}/initialization/steps/done/retry"
            assert (await stepway.http.get(preview)).status_code == 409


async def test_cancelled_project_accepts_only_a_retry(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    async with halfway(start_stepway, folder) as (stepway, project):
        await stepway.control(project, "cancel")
        cancelled = await until_ended(stepway, project, "cancelled")
        assert statuses(cancelled)["behind"] == "skipped"
        await until_closed(temporal, project)
        said = "the project is cancelled. You can retry it."
        async with history_untouched(temporal, project):
            await refuse_all(
                stepway,
                project,
                {
                    "cancel": said,
                    "steps/doomed/skip": said,
                    "steps/done/retry": "done is completed",
                    "steps/left_out/retry": "left_out is skipped. Retry the initialization",
                    "steps/behind/retry": "behind is pending. Retry the initialization",
                },
            )


async def test_project_that_ended_as_failed_accepts_only_a_retry(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, STEPS, time_limit=6.0)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        failed = await until_ended(stepway, project, "failed")
        assert statuses(failed)["held"] == "failed"
        await until_closed(temporal, project)
        said = "the project is failed. You can retry it."
        async with history_untouched(temporal, project):
            await refuse_all(
                stepway,
                project,
                {
                    "cancel": said,
                    "steps/doomed/skip": said,
                    "steps/done/retry": "done is completed",
                    "steps/behind/retry": "behind is pending",
                },
            )


async def test_unknown_steps_and_parts_are_404_and_those_that_exist_are_named(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "talk", "uses": "say"}, {"step": "held"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        async with history_untouched(temporal, project):
            for step in ("talc", "talk.first"):
                for control in ("retry", "skip"):
                    path = f"steps/{step}/{control}"
                    answer = await stepway.control(
                        project, path, {"reason": "x"} if control == "skip" else {}
                    )
                    assert answer.status_code == 404, answer.text
                    assert "available steps: talk, held" in answer.json()["detail"]


async def test_control_of_an_unknown_project_is_404(start_stepway: StartStepway) -> None:
    async with start_stepway() as stepway:
        nobody = "00000000-0000-4000-8000-000000000000"
        for path in ("retry", "cancel", "steps/a/retry"):
            assert (await stepway.control(nobody, path)).status_code == 404


@pytest.mark.parametrize("path", ["steps/doomed/retry", "retry", "cancel", "steps/doomed/skip"])
async def test_control_without_a_worker_is_503_and_never_taken_later(
    start_stepway: StartStepway,
    temporal: Client,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    monkeypatch.setattr(updates, "PATIENCE", 1.0)
    monkeypatch.setattr(updates, "DEADLINE", timedelta(seconds=0.5))
    doomed = {"step": "doomed", "uses": "broken", "optional": True}
    blueprint = write_blueprint(folder, [doomed])
    async with start_stepway(worker=False) as stepway:
        async with running_worker(stepway.settings):
            with monkeypatch.context() as patient:
                patient.setattr(updates, "DEADLINE", timedelta(seconds=8))
                patient.setattr(updates, "PATIENCE", 10.0)
                project = await stepway.create(blueprint)
            before = await stepway.until(project, "failed")
        late = await stepway.control(project, path, {"reason": "x"} if "skip" in path else {})
        assert late.status_code == 503, late.text
        assert late.headers["retry-after"]

        async with running_worker(stepway.settings):
            handle = temporal.get_workflow_handle(f"initialize-{project}")
            said = await handle.query("initialization")
            assert said["status"] == "failed"
            assert (await stepway.initialization(project))["version"] == before["version"]
        assert stepway.runs("doomed") == 1
