"""Retry after the end: a workflow with the same ID continues from the rows."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from stepway.runtime.settings import Settings
from stepway.workflows import initialize_project
from tests.acceptance.conftest import StartStepway
from tests.support.controls import (
    actions,
    activities_of,
    runs_of,
    status_of,
    statuses,
    until_closed,
    until_ended,
    until_swept,
    workflow_of,
)
from tests.support.servers import Json, eventually, write_blueprint

CHAIN: list[Json] = [
    {"step": "first", "with": {"value": "kept"}},
    {"step": "doomed", "uses": "fixable", "with": {"value": "${{ steps.first.result.value }}"}},
    {"step": "last", "with": {"value": "${{ steps.first.result.value }}"}},
]


async def test_terminated_while_a_step_ran_is_recorded_and_goes_on_with_kept_results(
    start_stepway: StartStepway,
    temporal: Client,
    servers: Settings,
    pool: asyncpg.Pool,
    folder: Path,
) -> None:
    blueprint = write_blueprint(folder, [CHAIN[0], {"step": "held", "uses": "gate"}, CHAIN[2]])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        await workflow_of(temporal, project).terminate(reason="the disk was full")
        failed = await until_swept(servers, pool, temporal, stepway, project)
        assert statuses(failed) == {"first": "completed", "held": "failed", "last": "pending"}
        assert "the disk was full" in failed["project"]["initialization_error"]
        assert actions(await stepway.history(project))[-2:] == ["reconciled", "ended"]

        stepway.open_gate("held")
        assert (await stepway.control(project, "steps/held/retry")).status_code == 202
        done = await stepway.until(project, "active")
        assert stepway.runs("first") == 1
        assert await activities_of(temporal, project) == ["gate", "work"]
        assert (await stepway.steps(project))["last"]["metadata"]["value"] == "kept"
        assert done["project"]["run_id"] != failed["project"]["run_id"]
        assert [a["round"] for a in await stepway.attempts(project, "held")] == [1, 2]


async def test_terminated_and_not_yet_recorded_can_be_retried_at_once(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, CHAIN)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await workflow_of(temporal, project).terminate()

        refused = await stepway.control(project, "cancel")
        assert refused.status_code == 409
        assert "closed outside Stepway" in refused.json()["detail"]
        (folder / "doomed.fixed").touch()
        assert (await stepway.control(project, "retry")).status_code == 202
        await stepway.until(project, "active")
        assert stepway.runs("first") == 1


async def test_time_limit_ends_it_as_failed_and_a_retry_has_the_whole_time_again(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, CHAIN, time_limit=8.0)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        failed = await until_ended(stepway, project, "failed")
        error = failed["project"]["initialization_error"]
        assert "exceeded its time limit" in error
        assert "The value kept is no good." in error
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.FAILED

        skipped = await stepway.control(project, "steps/doomed/skip", {"reason": "late"})
        assert skipped.status_code == 409
        (folder / "doomed.fixed").touch()
        assert (await stepway.control(project, "steps/doomed/retry")).status_code == 202
        await stepway.until(project, "active")
        assert [stepway.runs(step) for step in ("first", "doomed", "last")] == [1, 2, 1]


async def test_time_limit_stops_a_step_that_runs(start_stepway: StartStepway, folder: Path) -> None:
    blueprint = write_blueprint(folder, [{"step": "held", "uses": "gate"}], time_limit=1.0)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        failed = await until_ended(stepway, project, "failed")

        [held] = failed["steps"]
        assert held["status"] == "failed"
        assert "time limit" in held["error"]
        assert [a["outcome"] for a in await stepway.attempts(project, "held")] == ["cancelled"]


async def test_cancelled_is_taken_up_again_with_all_that_the_cancel_left_out(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    steps = [*CHAIN, {"step": "apart"}]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await stepway.control(project, "cancel")
        cancelled = await until_ended(stepway, project, "cancelled")
        assert statuses(cancelled) == {
            "first": "completed",
            "doomed": "failed",
            "last": "skipped",
            "apart": "skipped",
        }
        (folder / "doomed.fixed").touch()
        assert (await stepway.control(project, "retry")).status_code == 202
        done = await stepway.until(project, "active")

        assert set(statuses(done).values()) == {"completed"}
        assert stepway.runs("first") == 1
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.COMPLETED


async def test_retry_of_one_step_after_a_cancel_leaves_out_nothing_that_only_the_cancel_did(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps: list[Json] = [
        {"step": "doomed", "uses": "fixable", "needs": []},
        {"step": "held", "uses": "gate", "needs": []},
        {"step": "apart", "needs": ["held"]},
    ]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "doomed", "failed")
        await stepway.until_step(project, "held", "running")
        await stepway.control(project, "cancel")
        cancelled = await until_ended(stepway, project, "cancelled")
        assert statuses(cancelled)["apart"] == "skipped"

        (folder / "doomed.fixed").touch()
        stepway.open_gate("held")
        assert (await stepway.control(project, "steps/doomed/retry")).status_code == 202
        waiting = await stepway.until(project, "failed")
        assert statuses(waiting) == {"doomed": "completed", "held": "failed", "apart": "pending"}
        assert (await stepway.control(project, "retry")).status_code == 202
        done = await stepway.until(project, "active")
        assert set(statuses(done).values()) == {"completed"}


async def test_after_a_cancel_with_undo_the_undone_steps_run_again(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    steps = [{**CHAIN[0], "undo": {"uses": "undo"}}, *CHAIN[1:]]
    blueprint = write_blueprint(folder, steps)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await stepway.control(project, "cancel", {"undo": True})
        await until_ended(stepway, project, "cancelled")
        preview = await stepway.http.get(
            f"/api/projects/{project}/initialization/steps/doomed/retry"
        )
        assert preview.json() == {
            "runs": ["first", "doomed", "last"],
            "keeps": [],
            "objects": [],
            "parameters": [],
        }

        (folder / "doomed.fixed").touch()
        taken = await stepway.control(project, "steps/doomed/retry")
        assert taken.status_code == 202, taken.text
        assert taken.json()["progress"] == 0
        done = await stepway.until(project, "active")
        assert set(statuses(done).values()) == {"completed"}
        assert [stepway.runs(step) for step in ("first", "doomed", "last")] == [2, 2, 1]
        assert done["steps"][0]["undone_at"] is None
        assert "undo" not in done["steps"][0]["metadata"]


async def test_retry_works_when_temporal_has_forgotten_the_workflow(
    start_stepway: StartStepway,
    temporal: Client,
    servers: Settings,
    pool: asyncpg.Pool,
    folder: Path,
) -> None:
    blueprint = write_blueprint(folder, CHAIN)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await temporal.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=f"initialize-{project}"),
            )
        )

        async def forgotten() -> bool:
            try:
                await workflow_of(temporal, project).describe()
            except RPCError as error:
                return error.status is RPCStatusCode.NOT_FOUND
            return False

        await eventually(forgotten)
        failed = await until_swept(servers, pool, temporal, stepway, project)
        assert statuses(failed)["first"] == "completed"

        (folder / "doomed.fixed").touch()
        assert (await stepway.control(project, "retry")).status_code == 202
        await stepway.until(project, "active")
        assert [stepway.runs(step) for step in ("first", "doomed", "last")] == [1, 2, 1]
        assert await runs_of(temporal, project) == 1


async def test_terminated_after_its_last_step_is_brought_to_its_end_by_a_retry(
    start_stepway: StartStepway,
    temporal: Client,
    servers: Settings,
    pool: asyncpg.Pool,
    folder: Path,
) -> None:
    blueprint = write_blueprint(folder, [CHAIN[0]])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        # As if the workflow had been terminated between its last step and its end.
        await pool.execute(
            "UPDATE projects SET status = 'failed', initialization_error = 'x' WHERE id = $1",
            project,
        )
        assert (await stepway.control(project, "retry")).status_code == 202
        await stepway.until(project, "active")
        assert stepway.runs("first") == 1


async def test_refused_retry_after_the_end_starts_no_run(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(folder, CHAIN, time_limit=5.0)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await until_ended(stepway, project, "failed")
        await until_closed(temporal, project)
        for step, said in [("first", "first is completed"), ("last", "last is pending")]:
            refused = await stepway.control(project, f"steps/{step}/retry")
            assert refused.status_code == 409
            assert said in refused.json()["detail"]

        assert await runs_of(temporal, project) == 1
        assert await status_of(temporal, project) is WorkflowExecutionStatus.FAILED


async def test_run_that_no_retry_reaches_closes_by_itself_and_changes_nothing(
    start_stepway: StartStepway,
    temporal: Client,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blueprint = write_blueprint(folder, CHAIN, time_limit=5.0)
    monkeypatch.setattr(initialize_project, "RESUME_PATIENCE", initialize_project.timedelta(0, 1))
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        before = await until_ended(stepway, project, "failed")
        await until_closed(temporal, project)
        handle = workflow_of(temporal, project)
        first = await anext(aiter(handle.fetch_history_events()))
        given = first.workflow_execution_started_event_attributes
        [argument] = await temporal.data_converter.decode(given.input.payloads)
        resumed = {"states": {"first": "completed"}, "results": {}, "errors": {}}
        await temporal.start_workflow(
            "InitializeProject",
            {**argument, "resumed": resumed},
            id=handle.id,
            task_queue=stepway.settings.temporal_task_queue,
        )

        assert await runs_of(temporal, project) >= 1
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.FAILED
        assert (await stepway.initialization(project))["version"] == before["version"]


async def test_after_a_rollback_what_needs_a_rolled_back_step_runs_again(
    start_stepway: StartStepway, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "apart", "needs": []},
            {"step": "made", "needs": [], "undo": {"uses": "undo"}},
            {"step": "built_on_it", "needs": ["made"]},
            {"step": "and_on_that", "needs": ["built_on_it"]},
            {"step": "after_it", "needs": [], "after": ["made"]},
            {"step": "held", "uses": "gate", "needs": ["apart", "and_on_that", "after_it"]},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        await stepway.control(project, "cancel", {"undo": True})
        await until_ended(stepway, project, "cancelled")

        path = f"/api/projects/{project}/initialization/retry"
        preview = (await stepway.http.get(path)).json()
        assert sorted(preview["keeps"]) == ["after_it", "apart"]
        assert preview["runs"] == ["made", "built_on_it", "and_on_that", "held"]

        stepway.open_gate("held")
        assert (await stepway.control(project, "retry")).status_code == 202
        done = await stepway.until(project, "active")
        assert set(statuses(done).values()) == {"completed"}
        ran = {step: stepway.runs(step) for step in ("made", "built_on_it", "and_on_that")}
        assert set(ran.values()) == {2}, ran
        assert {step: stepway.runs(step) for step in ("apart", "after_it")} == {
            "apart": 1,
            "after_it": 1,
        }
