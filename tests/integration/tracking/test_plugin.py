"""The library's plugin on workers with unusual configurations."""

from __future__ import annotations

import asyncpg
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from stepway_tracking.record.store import Store
from stepway_tracking.worker.plugin import TrackingPlugin
from tests.support.record import Collected
from tests.support.tracked import RunTrackedStep


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
