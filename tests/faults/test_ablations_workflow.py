"""Each guard of the workflow is needed: without it its scenario goes wrong.

A twin with the guard on shows that the scenario itself is sound.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError

from stepway.runtime.settings import Settings
from stepway.runtime.temporal import connect_temporal
from stepway.workflows import initialize_project
from stepway.workflows.engine import search_attributes
from stepway.workflows.engine.failures import failure_outcome, failure_text
from stepway.workflows.engine.outcomes import Outcomes
from stepway.workflows.engine.running import RunningSteps
from stepway.workflows.model.messages import WORKFLOW, workflow_id
from stepway.workflows.model.plan import PlannedStep
from stepway_tracking.workflow import recording
from tests.integration.engine.test_cancel import while_stalled
from tests.security.test_foreign_work import start_input, write_command
from tests.support.scripted import Stage, Troubles, planned
from tests.support.servers import eventually, running_stepway, write_blueprint

Patch = pytest.MonkeyPatch
NO_TIME = 1e15
"""A timeout of a step, in seconds, that is too long for Temporal."""


async def error_outside_of_a_step(stage: Stage) -> str:
    """The step's activity cannot be started."""
    it = await stage.start([planned("a", timeout=NO_TIME), planned("b")])
    ended = asyncio.create_task(it.until("failed"))
    active = asyncio.create_task(it.until("active"))
    _, others = await asyncio.wait([ended, active], return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    row = (await it.steps())["a"]
    found = f"{(await it.row())['status']}, a is {row['status']}: {row['error']}"
    if "failed" in found.partition(",")[0]:
        await it.cancel()
        await it.closes()
    return found


async def _run(self: RunningSteps, step: PlannedStep) -> None:
    """The method without `except Exception`."""
    name = step.step
    try:
        await self._outcomes.finish(name, await self._execution.run(step))
    except ActivityError as error:
        await self._outcomes.fail(
            name, error=failure_text(error, step), outcome=failure_outcome(error)
        )
    finally:
        del self._tasks[name]
        self._board.changed = True


async def _nothing(self: RunningSteps) -> None:
    """Look for no step that was lost."""


async def test_error_outside_of_a_step_is_lost_without_the_two_guards_against_it(
    stage: Stage, monkeypatch: Patch
) -> None:
    found = await error_outside_of_a_step(stage)
    assert found.startswith("failed, a is failed: The step could not be run: OverflowError")
    monkeypatch.setattr(RunningSteps, "_run", _run)
    found = await error_outside_of_a_step(stage)
    assert found.startswith("failed, a is failed: The workflow lost track of this step."), found
    monkeypatch.setattr(RunningSteps, "fail_what_was_lost", _nothing)
    found = await error_outside_of_a_step(stage)
    assert found == "active, a is pending: None"


async def cancel_during_a_write(stage: Stage) -> tuple[str, str]:
    """Temporal's own cancel arrives while the failure of the project is written."""
    steps = [planned("a"), planned("b", needs=["a"])]
    it = await stage.start(steps, {"a": ["final"]}, Troubles(stalled_action="project failed"))
    await while_stalled(it, seconds=9)
    closed = await it.closes()
    return closed, (await it.row())["status"]


async def _unshielded(name: str, argument: Any, *, cancelled: bool = False) -> Any:
    return await workflow.execute_local_activity(
        name, argument, start_to_close_timeout=timedelta(seconds=30)
    )


async def test_cancel_during_a_write_leaves_the_project_open_without_its_guards(
    stage: Stage, monkeypatch: Patch
) -> None:
    assert await cancel_during_a_write(stage) == ("CANCELED", "cancelled")
    monkeypatch.setattr(recording, "_insist", _unshielded)
    monkeypatch.setattr(
        initialize_project,
        "is_cancelled_exception",
        lambda error: isinstance(error, asyncio.CancelledError),
    )
    closed, status = await cancel_during_a_write(stage)
    assert status != "cancelled", (closed, status)


async def result_like_a_marker(stage: Stage) -> dict[str, str]:
    """A step returns an object whose one field is called `skipped`."""
    it = await stage.start([planned("a"), planned("b", needs=["a"])], {"a": ["imported"]})
    await it.closes()
    return await it.statuses()


async def _always(self: Outcomes, step: str) -> bool:
    return True


async def test_result_that_looks_like_a_marker_skips_steps_without_a_look_at_the_record(
    stage: Stage, monkeypatch: Patch
) -> None:
    assert await result_like_a_marker(stage) == {"a": "completed", "b": "completed"}
    monkeypatch.setattr(Outcomes, "_is_skipped", _always)
    assert (await result_like_a_marker(stage))["b"] == "skipped"


async def many_steps(servers: Settings, folder: Path) -> str:
    """Many steps with long names run at once; return how their workflow has closed."""
    names = [f"step_{n}_".ljust(63, "x") for n in range(50)]
    given = {"uses": "gate", "needs": [], "with": {"name": "all"}}
    blueprint = write_blueprint(folder, [{"step": name, **given} for name in names])
    client = await connect_temporal(servers)
    async with running_stepway(servers, folder) as stepway:
        handle = client.get_workflow_handle(workflow_id(await stepway.create(blueprint)))

        async def shown() -> bool:
            found = await handle.describe()
            listed = found.typed_search_attributes.get(search_attributes.STEPS)
            return bool(listed) or found.close_time is not None

        await eventually(shown)
        stepway.open_gate("all")

        async def closed() -> str:
            found = await handle.describe()
            return found.status.name if found.status and found.close_time else ""

        return str(await eventually(closed))


async def test_temporal_terminates_the_workflow_of_many_steps_without_the_cap(
    servers: Settings, tmp_path: Path, monkeypatch: Patch
) -> None:
    capped, whole = new_folders(tmp_path)
    assert await many_steps(servers, capped) == "COMPLETED"
    monkeypatch.setattr(search_attributes, "MOST_BYTES", 1_000_000)
    assert await many_steps(servers, whole) == "TERMINATED"


async def foreign_command(settings: Settings, folder: Path) -> bool:
    """Somebody without our key starts a command as us; return whether it runs."""
    marker, blueprint = folder / "marker", f"mark-{uuid4().hex[:8]}"
    write_command(folder, blueprint, marker)
    ours = await connect_temporal(settings)
    stranger = await Client.connect(settings.temporal_address)
    async with running_stepway(settings, folder) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        marker.unlink()
        foreign = str(uuid4())
        copied = await start_input(stepway, ours, project)
        copied |= {"project_id": foreign, "name": f"foreign-{foreign[:8]}"}
        copied["deadline"] = "2999-01-01T00:00:00+00:00"
        handle = await stranger.start_workflow(
            WORKFLOW,
            copied,
            id=workflow_id(foreign),
            task_queue=stepway.settings.temporal_task_queue,
        )

        async def decided() -> bool:
            kinds = [one.WhichOneof("attributes") async for one in handle.fetch_history_events()]
            return marker.exists() or "workflow_task_failed_event_attributes" in kinds

        await eventually(decided)
        with suppress(RPCError):  # The one that ran has closed by itself.
            await handle.terminate()
        return marker.exists()


async def test_foreign_command_runs_without_signatures(servers: Settings, tmp_path: Path) -> None:
    with_key, without_key = new_folders(tmp_path)
    assert not await foreign_command(servers, with_key)
    unsigned = servers.model_copy(update={"temporal_signing_key_file": None})
    assert await foreign_command(unsigned, without_key)


def new_folders(folder: Path) -> tuple[Path, Path]:
    """Make a folder for the run with the guard and one for the run without it."""
    folders = folder / "with", folder / "without"
    for each in folders:
        each.mkdir()
    return folders
