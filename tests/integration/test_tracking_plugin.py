"""The example of a workflow of one's own, run as its README says."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import asyncpg
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from stepway.runtime.settings import Settings
from stepway_tracking.record.store import Store
from stepway_tracking.worker.plugin import TrackingPlugin
from tests.support.record import Collected, Record
from tests.support.servers import PATIENCE
from tests.support.tracked import RunTrackedStep

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "tracking" / "run.py"


async def run_example(**environment: str) -> tuple[int | None, str]:
    """Run it in a process of its own; how it ended, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        cwd=ROOT,
        env={name: v for name, v in os.environ.items() if not name.startswith("STEPWAY_")}
        | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, output.decode()


async def test_the_example_records_a_workflow_of_its_own(
    servers: Settings, pool: asyncpg.Pool
) -> None:
    status, output = await run_example(
        STEPWAY_DATABASE_URL=servers.database_url,
        STEPWAY_REDIS_URL=servers.redis_url,
        STEPWAY_TEMPORAL_ADDRESS=servers.temporal_address,
    )
    assert status == 0, output
    found = re.search(r"project (\S+):", output)
    assert found, output
    record = Record(pool, found[1])
    project, built = await record.project(), await record.step("build_image")
    assert (project["status"], project["progress"]) == ("active", 100)
    assert (await record.step("run_tests"))["attempt"] == 2
    assert (built["metadata"], built["status"]) == (
        {"name": "shop:1.4.0", "layers": 3},
        "completed",
    )
    assert (await record.step("build_image.compile"))["status"] == "completed"
    assert (await record.actions())[-2:] == ["activated", "ended"]
    await record.check()


async def test_the_example_says_what_it_needs() -> None:
    status, output = await run_example()
    assert status == 1 and "STEPWAY_DATABASE_URL" in output


async def test_a_plugin_leaves_a_runner_that_is_no_sandbox_alone(
    temporal: Client, pool: asyncpg.Pool
) -> None:
    class Plain(UnsandboxedWorkflowRunner):
        pass

    runner: WorkflowRunner = Plain()
    worker = Worker(
        temporal,
        task_queue="no-polls",
        workflows=[RunTrackedStep],
        workflow_runner=runner,
        plugins=[TrackingPlugin(Store(pool, Collected()))],
    )
    assert worker.config(active_config=True)["workflow_runner"] is runner
