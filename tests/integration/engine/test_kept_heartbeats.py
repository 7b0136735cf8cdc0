"""Details that a step keeps for its next attempt, on a real Temporal server."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from stepway.activities.beats import beating

SILENT = timedelta(minutes=5)
"""The SDK holds heartbeats back for a part of it, at most for a minute: longer than the test."""

going_on = asyncio.Event()


async def heartbeat_at_temporal(client: Client, workflow_id: str | None) -> Any:
    assert workflow_id is not None
    described = await client.get_workflow_handle(workflow_id).describe()
    (pending,) = described.raw_description.pending_activities
    found = await client.data_converter.decode(pending.heartbeat_details.payloads)
    return found[0] if found else None


@activity.defn
async def keep() -> None:
    async with beating() as beats:
        # The first heartbeat of an attempt is sent at once; those after it are held back.
        beats.keep("first")
        sent = partial(heartbeat_at_temporal, activity.client(), activity.info().workflow_id)
        while await sent() is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await beats.kept("asked")
        going_on.set()
        await asyncio.Event().wait()


@workflow.defn(sandboxed=False)
class Keeping:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            keep, start_to_close_timeout=timedelta(hours=1), heartbeat_timeout=SILENT
        )


async def test_temporal_has_the_details_when_the_step_goes_on(temporal: Client) -> None:
    queue = f"kept-{uuid4()}"
    async with Worker(temporal, task_queue=queue, workflows=[Keeping], activities=[keep]):
        handle = await temporal.start_workflow(Keeping.run, id=queue, task_queue=queue)
        async with asyncio.timeout(60):
            await going_on.wait()
        kept = await heartbeat_at_temporal(temporal, handle.id)
        await handle.terminate()
    assert kept == "asked"
