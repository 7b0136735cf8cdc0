"""Operators' actions in Temporal's tools, and their effect on the record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import PauseActivityRequest, ResetActivityRequest
from temporalio.client import Client, WorkflowExecutionStatus

from stepway.runtime.settings import Settings
from tests.acceptance.conftest import StartStepway
from tests.support.controls import (
    actions,
    statuses,
    temporal_cli,
    until_closed,
    until_swept,
    workflow_of,
)
from tests.support.servers import Json, Stepway, eventually, write_blueprint


async def listed(client: Client, query: str) -> list[str]:
    """Return the IDs of the workflows that a list query finds."""
    return [found.id async for found in client.list_workflows(query)]


async def until_listed(client: Client, project: str, query: str) -> None:
    """Wait for Temporal's visibility, which is eventually consistent."""

    async def found() -> bool:
        return f"initialize-{project}" in await listed(client, query)

    await eventually(found)


async def the_activity(client: Client, project: str) -> tuple[str, ...]:
    """Return the arguments that select the current run in the Temporal CLI."""
    found = await workflow_of(client, project).describe()
    [running] = found.raw_description.pending_activities
    return ("--workflow-id", found.id, "--activity-id", running.activity_id)


async def until_it(stepway: Stepway, project: str, step: str, test: Callable[[Json], bool]) -> Json:
    """Wait until a step's row satisfies the condition."""

    async def passed() -> Json | None:
        row = (await stepway.steps(project))[step]
        return row if test(row) else None

    return await eventually(passed)  # type: ignore[no-any-return]


async def test_waiting_failures_are_found_by_one_query(
    start_stepway: StartStepway, temporal: Client, servers: Settings, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "doomed", "uses": "broken"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await until_listed(temporal, project, "StepwayStatus='failed'")
        await until_listed(temporal, project, "StepwaySteps='doomed' AND ExecutionStatus='Running'")
        await until_listed(temporal, project, f"StepwayBlueprint='{blueprint}'")
        said = await temporal_cli(
            servers, "workflow", "list", "--query", 'StepwayStatus="failed"', "--limit", "1000"
        )
        assert f"initialize-{project}" in said

        await stepway.control(project, "cancel")
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.CANCELED
        await until_listed(temporal, project, "StepwayStatus='cancelled'")


async def test_temporals_ui_names_the_project_and_shows_its_steps(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder, [{"step": "first"}, {"step": "doomed", "uses": "broken"}], title="Test | type"
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        failed = await stepway.until(project, "failed")
        found = await workflow_of(temporal, project).describe()
        name = failed["project"]["name"]
        assert await found.static_summary() == f"{name} (Test | type)"
        details = await found.static_details()
        assert details and name in details and blueprint in details and project in details

        metadata = await workflow_of(temporal, project).query("__temporal_workflow_metadata")
        rows = metadata.current_details.splitlines()
        assert "| ✔ | First | completed | 1 |" in rows[2]
        assert "| ✖ | Doomed | failed | 1 |" in rows[3]
        assert "The host refused the key." in rows[3]
        summaries = [
            (await temporal.data_converter.decode([event.user_metadata.summary]))[0]
            async for event in workflow_of(temporal, project).fetch_history_events()
            if event.HasField("activity_task_scheduled_event_attributes")
        ]
        assert summaries == ["First", "Doomed"]


async def test_answers_link_to_temporals_ui(start_stepway: StartStepway, folder: Path) -> None:
    blueprint = write_blueprint(folder, [{"step": "first"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        done = await stepway.until(project, "active")
        base = stepway.settings.temporal_ui_url
        run_id = done["project"]["run_id"]
        url = f"{base}/namespaces/default/workflows/initialize-{project}/{run_id}/history"

        assert base
        assert done["project"]["temporal_url"] == url
        assert [step["temporal_url"] for step in done["steps"]] == [url]
        alone = await stepway.http.get(f"/api/projects/{project}")
        assert alone.json()["temporal_url"] == url


async def test_terminate_by_command_line_is_recorded_and_a_retry_completes_it(
    start_stepway: StartStepway,
    temporal: Client,
    servers: Settings,
    pool: asyncpg.Pool,
    folder: Path,
) -> None:
    blueprint = write_blueprint(folder, [{"step": "held", "uses": "gate"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        await temporal_cli(
            servers,
            *("workflow", "terminate", "--workflow-id", f"initialize-{project}"),
            *("--reason", "maintenance"),
        )
        failed = await until_swept(servers, pool, temporal, stepway, project)
        assert "maintenance" in failed["project"]["initialization_error"]
        stepway.open_gate("held")
        assert (await stepway.control(project, "retry")).status_code == 202
        await stepway.until(project, "active")


async def test_paused_is_not_failed_and_goes_on_when_unpaused(
    start_stepway: StartStepway, temporal: Client, servers: Settings, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "held", "uses": "gate"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        which = await the_activity(temporal, project)
        await temporal_cli(servers, "activity", "pause", *which)
        paused = await until_it(stepway, project, "held", lambda row: "paused" in row["metadata"])
        assert paused["status"] == "running"
        assert (await stepway.initialization(project))["project"]["status"] == "initializing"

        stepway.open_gate("held")
        await temporal_cli(servers, "activity", "unpause", *which)
        done = await stepway.until(project, "active")
        assert "paused" not in done["steps"][0]["metadata"]
        outcomes = [a["outcome"] for a in await stepway.attempts(project, "held")]
        assert outcomes == ["paused", "completed"]


async def test_reset_activity_is_another_round(
    start_stepway: StartStepway, temporal: Client, servers: Settings, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "held", "uses": "gate"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        which = await the_activity(temporal, project)
        await temporal_cli(servers, "activity", "reset", *which)
        again = await until_it(stepway, project, "held", lambda row: row["round"] == 2)
        assert again["status"] == "running"
        stepway.open_gate("held")
        await stepway.until(project, "active")
        tried = [(a["round"], a["outcome"]) for a in await stepway.attempts(project, "held")]
        assert tried == [(1, "reset"), (2, "completed")]


@pytest.mark.parametrize("operation", ["reset", "pause"])
async def test_step_that_is_stopped_and_cancelled_at_once_is_cancelled(
    start_stepway: StartStepway, temporal: Client, folder: Path, operation: str
) -> None:
    blueprint = write_blueprint(folder, [{"step": "held", "uses": "gate"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        handle = workflow_of(temporal, project)
        service = temporal.workflow_service
        execution = WorkflowExecution(workflow_id=handle.id)
        stop = (
            service.reset_activity(
                ResetActivityRequest(namespace="default", execution=execution, type="gate")
            )
            if operation == "reset"
            else service.pause_activity(
                PauseActivityRequest(namespace="default", execution=execution, type="gate")
            )
        )
        # The worker hears of both with the same heartbeat.
        await asyncio.gather(stop, handle.cancel())
        ended = await stepway.until(project, "cancelled")
    assert ended["steps"][0]["error"] == "Cancelled by temporal."


async def test_reset_workflow_runs_its_steps_in_another_round(
    start_stepway: StartStepway, temporal: Client, servers: Settings, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "first"}, {"step": "doomed", "uses": "fixable"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        failed = await stepway.until(project, "failed")
        (folder / "doomed.fixed").touch()
        await temporal_cli(
            servers,
            *("workflow", "reset", "--workflow-id", f"initialize-{project}"),
            *("--type", "FirstWorkflowTask", "--reason", "once more"),
        )
        done = await stepway.until(project, "active")

        assert done["project"]["run_id"] != failed["project"]["run_id"]
        assert done["project"]["initialization_error"] is None
        assert statuses(done) == {"first": "completed", "doomed": "completed"}
        assert {step["round"] for step in done["steps"]} == {2}
        assert "reopened" in actions(await stepway.history(project))
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.COMPLETED


async def test_reset_workflow_that_had_ended_opens_its_record_again(
    start_stepway: StartStepway, temporal: Client, servers: Settings, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "first"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        done = await stepway.until(project, "active")
        await until_closed(temporal, project)
        await temporal_cli(
            servers,
            *("workflow", "reset", "--workflow-id", f"initialize-{project}"),
            *("--type", "FirstWorkflowTask", "--reason", "once more"),
        )

        async def again() -> Json | None:
            found = await stepway.initialization(project)
            is_other = found["project"]["run_id"] != done["project"]["run_id"]
            return found if is_other and found["project"]["status"] == "active" else None

        found = await eventually(again)
        assert found["steps"][0]["round"] == 2
        told = actions(await stepway.history(project))
        assert told.count("ended") == 2 and told[-1] == "ended"
