"""Cancel stops running steps, skips pending ones and, with undo, rolls completed ones back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import psutil
import pytest
import yaml
from temporalio.client import Client, WorkflowExecutionStatus

from stepway.workflows.engine import execution
from stepway_tracking.record.facts import ROLLBACK_TIMEOUT_REMEDY
from stepway_tracking.worker import interceptor
from stepway_tracking.workflow import marks
from tests.acceptance.conftest import StartStepway
from tests.support.controls import (
    actions,
    statuses,
    until_closed,
    until_ended,
    workflow_of,
)
from tests.support.servers import Json, eventually, write_blueprint

UNDO: Json = {"undo": {"uses": "undo"}}
STUBBORN: Json = {"undo": {"uses": "stubborn_undo"}}


def living(marker: str) -> list[int]:
    """Return the processes with this argument."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if marker in (process.info["cmdline"] or [])
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


async def test_step_whose_worker_is_lost_during_a_cancel_was_cancelled(
    start_stepway: StartStepway, temporal: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "WORKER_SILENCE", 1.0)
    monkeypatch.setattr(marks, "WORKER_SILENCE", timedelta(seconds=1))
    # The worker sends no heartbeat, as one that is lost.
    monkeypatch.setattr(interceptor, "HEARTBEAT_SECONDS", 3600.0)
    monkeypatch.setattr(interceptor, "HEARTBEATS_IN_TIMEOUT", 1 / 3600)
    silent = {"step": "silent", "uses": "silent", "with": {"seconds": 120, "times": 100}}
    blueprint = write_blueprint(folder, [silent])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "silent", "running")
        assert (await stepway.control(project, "cancel")).status_code == 202
        await until_ended(stepway, project, "cancelled")
        assert (await stepway.steps(project))["silent"]["error"] == "Cancelled by local."
        last = (await stepway.attempts(project, "silent"))[-1]
        assert last["outcome"] == "cancelled"
        history = await workflow_of(temporal, project).fetch_history()
        kinds = [event.WhichOneof("attributes") for event in history.events]
        assert "activity_task_timed_out_event_attributes" in kinds


async def test_cancel_stops_what_runs_and_leaves_out_the_rest(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder, [{"step": "first"}, {"step": "held", "uses": "gate"}, {"step": "last"}]
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        assert (await stepway.control(project, "cancel")).status_code == 202
        cancelled = await until_ended(stepway, project, "cancelled")

        assert statuses(cancelled) == {"first": "completed", "held": "failed", "last": "skipped"}
        steps = await stepway.steps(project)
        # A step that a cancel skips makes no progress.
        assert cancelled["progress"] == (100 + steps["held"]["progress"]) // 3
        assert steps["held"]["error"] == "Cancelled by local."
        assert steps["last"]["metadata"]["reason"] == "Cancelled by local."
        assert [a["outcome"] for a in await stepway.attempts(project, "held")] == ["cancelled"]
        assert cancelled["project"]["initialization_error"] is None
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.CANCELED

        history = await stepway.history(project)
        assert actions(history)[-2:] == ["cancelled", "ended"]
        asked = next(event for event in history if event["action"] == "cancel_requested")
        assert asked["actor"] == "local"
        again = await stepway.control(project, "cancel")
        assert again.status_code == 409
        assert "is cancelled. You can retry it" in again.json()["detail"]


async def test_cancel_ends_the_whole_process_group_of_a_command(
    start_stepway: StartStepway, folder: Path
) -> None:
    marker = f"300.{uuid4().int % 10**9:09}"
    command = {"command": ["sh", "-c", f"sleep {marker} & sleep {marker}"]}
    (folder / "command.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "command",
                "steps": [{"step": "run", "uses": "run_command", "with": command}],
            }
        )
    )
    async with start_stepway() as stepway:
        project = await stepway.create("command")

        async def both() -> bool:
            return len(living(marker)) == 2

        await eventually(both)
        await stepway.control(project, "cancel")
        cancelled = await until_ended(stepway, project, "cancelled")

        assert living(marker) == []
        assert statuses(cancelled) == {"run": "failed"}


async def test_undo_goes_backwards_and_past_what_cannot_be_undone(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder,
        [
            {"step": "a", **UNDO},
            {"step": "b", **STUBBORN},
            {"step": "plain"},
            {"step": "c", **UNDO},
            {"step": "doomed", "uses": "broken", **UNDO},
        ],
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        assert (await stepway.control(project, "cancel", {"undo": True})).status_code == 202
        cancelled = await until_ended(stepway, project, "cancelled")

        assert (folder / "undone").read_text().split() == ["c", "a"]
        history = await stepway.history(project)
        undoing = [
            (event["step"], event["action"]) for event in history if "undo" in event["action"]
        ]
        assert undoing == [
            ("c", "undo_started"),
            ("c", "undone"),
            ("b", "undo_started"),
            ("b", "undo_failed"),
            ("a", "undo_started"),
            ("a", "undone"),
        ]
        steps = await stepway.steps(project)
        assert steps["a"]["undone_at"] and steps["c"]["undone_at"]
        assert steps["b"]["undone_at"] is None
        assert steps["b"]["metadata"]["undo"]["status"] == "failed"
        assert steps["a"]["metadata"]["undo"]["status"] == "completed"
        error = cancelled["project"]["initialization_error"]
        assert error.splitlines() == [
            "2 of 4 steps rolled back, 1 could not be, 1 has no rollback.",
            "Doomed had failed and was not rolled back: what it had made by then may still exist.",
            "B was not rolled back: Somebody has changed it since. Remove it by hand.",
        ]
        assert statuses(cancelled)["doomed"] == "failed"
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.CANCELED


async def test_undo_that_takes_too_long_is_recorded_though_no_interceptor_saw_it(
    start_stepway: StartStepway, folder: Path
) -> None:
    given = {"folder": str(folder), "name": "undo", "seconds": 60}
    made: Json = {
        "step": "made",
        "undo": {"uses": "silent", "with": given},
        "timeout": 1,
        "retry": {"maximum_attempts": 1},
    }
    blueprint = write_blueprint(folder, [made, {"step": "doomed", "uses": "broken"}])
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        await stepway.control(project, "cancel", {"undo": True})
        cancelled = await until_ended(stepway, project, "cancelled")

        error = cancelled["project"]["initialization_error"]
        assert error.splitlines() == [
            "0 of 1 step rolled back, 1 could not be.",
            "Made was not rolled back: The step exceeded its time limit of 1 s. "
            + ROLLBACK_TIMEOUT_REMEDY,
        ]
        undo = (await stepway.steps(project))["made"]["metadata"]["undo"]
        assert undo["error"].endswith(ROLLBACK_TIMEOUT_REMEDY)
        told = actions(await stepway.history(project), step="made")
        assert told == ["started", "completed", "undo_started", "undo_failed"]


async def test_cancel_from_temporals_own_tools_ends_in_a_true_record(
    start_stepway: StartStepway, temporal: Client, folder: Path
) -> None:
    blueprint = write_blueprint(
        folder, [{"step": "first", **UNDO}, {"step": "held", "uses": "gate"}, {"step": "last"}]
    )
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        await workflow_of(temporal, project).cancel()
        cancelled = await until_ended(stepway, project, "cancelled")

        assert statuses(cancelled) == {"first": "completed", "held": "failed", "last": "skipped"}
        held = (await stepway.steps(project))["held"]
        assert held["error"] == held["metadata"]["reason"] == "Cancelled by temporal."
        assert not (folder / "undone").exists()
        assert await until_closed(temporal, project) is WorkflowExecutionStatus.CANCELED


async def test_cancel_with_undo_of_a_web_service_leaves_nothing_of_it(
    start_stepway: StartStepway, pool: asyncpg.Pool, folder: Path
) -> None:
    built_in = Path(__file__).parents[2] / "blueprints" / "web-service.yaml"
    definition = yaml.safe_load(built_in.read_text())
    definition["name"] = "web-service-that-fails"
    broken = {"step": "announce", "uses": "broken", "needs": ["finalize"]}
    definition["steps"].append(broken)
    (folder / "failing.yaml").write_text(yaml.safe_dump(definition, sort_keys=False))
    async with start_stepway() as stepway:
        project = await stepway.create("web-service-that-fails")
        failed = await stepway.until(project, "failed")
        name = failed["project"]["name"]
        repository = stepway.settings.data_dir / "repositories" / "local" / f"{name}.git"
        preview = await stepway.http.get(
            f"/api/projects/{project}/initialization/steps/announce/retry"
        )
        made = [found["step"] for found in preview.json()["objects"]]
        assert "create_repository" in made and "setup_gitops" in made
        assert repository.exists()
        assert await _records(pool, project) > 0
        assert name in await _manifests(stepway.settings.data_dir)

        await stepway.control(project, "cancel", {"undo": True})
        cancelled = await until_ended(stepway, project, "cancelled")
        said = "5 of 7 steps rolled back, 2 have no rollback."
        assert cancelled["project"]["initialization_error"] == said
        assert not repository.exists()
        assert await _records(pool, project) == 0
        assert name not in await _manifests(stepway.settings.data_dir)

        # What was in the repository is made again, not only the repository.
        await stepway.control(project, "retry")
        await stepway.until(project, "failed")
        again = await stepway.http.get(f"/api/projects/{project}/initialization")
        states = {step["step"]: step["status"] for step in again.json()["steps"]}
        assert {states[step] for step in ("push_template", "setup_gitops", "finalize")} == {
            "completed"
        }
        assert repository.exists()


async def _records(pool: asyncpg.Pool, project: str) -> int:
    count = """
        SELECT (SELECT count(*) FROM environments WHERE project_id = $1)
             + (SELECT count(*) FROM repositories WHERE project_id = $1)
    """
    return int(await pool.fetchval(count, UUID(project)))


async def _manifests(data_dir: Path) -> str:
    """Return the paths of all files in the GitOps repository."""
    process = await asyncio.create_subprocess_exec(
        *("git", "--git-dir", str(data_dir / "gitops.git"), "ls-tree", "-r", "--name-only", "HEAD"),
        stdout=asyncio.subprocess.PIPE,
    )
    listed, _ = await process.communicate()
    return listed.decode()
