"""Keeps the time-skipping test server from leaping over years.

The server leaps to the next timer while no task is under way. That may be so between two tasks of
a workflow that waits for a local activity, and then the next timer is the workflow's own timeout,
ten years ahead. With this workflow, a timer is never more than LEAP ahead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

LEAP = timedelta(hours=6)


@workflow.defn
class Clock:
    """Ticks for ever."""

    @workflow.run
    async def run(self) -> None:
        """Wait for one tick, then continue as new."""
        await workflow.sleep(LEAP)
        workflow.continue_as_new()


@asynccontextmanager
async def ticking(client: Client, queue: str) -> AsyncIterator[None]:
    """Run the clock on another task queue."""
    queue = f"{queue}-clock"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=queue, workflows=[Clock], workflow_runner=runner):
        clock = await client.start_workflow(Clock.run, id=queue, task_queue=queue)
        yield
        await clock.terminate()
