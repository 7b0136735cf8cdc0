"""The sweep as its schedule runs it, on the real worker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle

from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway.runtime.temporal import connect_temporal
from stepway.vault.keys import new_key
from stepway.workflows import deployment
from stepway.workflows.deployment import prepare_temporal
from tests.support.controls import actions, until_ended, workflow_of
from tests.support.databases import empty_database
from tests.support.servers import eventually, running_stepway, write_blueprint


async def sweeps(client: Client, schedule: str) -> list[WorkflowHandle[Any, Any]]:
    """Return the completed sweeps of a schedule, the first one first."""
    query = f"TemporalScheduledById = '{schedule}' AND ExecutionStatus = 'Completed'"
    runs = [run async for run in client.list_workflows(query)]
    runs.sort(key=lambda run: run.start_time)
    return [client.get_workflow_handle(run.id, run_id=run.run_id) for run in runs]


async def until_swept(client: Client, schedule: str, times: int) -> None:
    async def swept() -> bool:
        return len(await sweeps(client, schedule)) >= times

    await eventually(swept)


async def migrated(settings: Settings, url: str) -> Settings:
    """Create the schema in a database; return the settings with it."""
    await upgrade_database(url)
    return settings.model_copy(update={"database_url": url})


async def given_to(client: Client, sweep: WorkflowHandle[Any, Any]) -> Any:
    """Return the argument of a sweep's activity."""
    async for event in sweep.fetch_history_events():
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name:
            return (await client.data_converter.decode([*scheduled.input.payloads]))[0]
    raise AssertionError("the sweep has no activity")


@pytest.mark.parametrize("encrypted", [False, True])
async def test_scheduled_sweeps_continue_each_other_and_notice_a_terminated_workflow(
    servers: Settings,
    pool: asyncpg.Pool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encrypted: bool,
) -> None:
    schedule = f"test-sweep-{uuid4().hex[:8]}"
    monkeypatch.setattr(deployment, "SWEEP_SCHEDULE", schedule)
    monkeypatch.setattr(deployment, "SWEEP_INTERVAL", timedelta(seconds=2))
    keys = {"secret_keys": SecretStr(new_key("first"))} if encrypted else {}
    settings = servers.model_copy(update=keys)
    blueprint = write_blueprint(tmp_path, [{"step": "doomed", "uses": "broken"}])
    client = await connect_temporal(settings)
    async with (
        empty_database(pool, servers.database_url) as url,
        running_stepway(await migrated(settings, url), tmp_path) as stepway,
    ):
        await prepare_temporal(client, stepway.settings.temporal_task_queue)
        try:
            await until_swept(client, schedule, 1)
            project = await stepway.create(blueprint)
            await stepway.until(project, "failed")
            await until_swept(client, schedule, 2)
            await workflow_of(client, project).terminate(reason="no longer wanted")
            found = await until_ended(stepway, project, "failed")
            assert "no longer wanted" in found["project"]["initialization_error"]
            assert actions(await stepway.history(project))[-2:] == ["reconciled", "ended"]
            completed = await sweeps(client, schedule)
        finally:
            await client.get_schedule_handle(schedule).delete()
    handed_on = [await sweep.result() for sweep in completed]
    assert [await given_to(client, sweep) for sweep in completed] == [None, *handed_on[:-1]]
    assert all(state["types"] == ["InitializeProject"] for state in handed_on)
