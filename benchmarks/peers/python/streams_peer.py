"""Temporal's workflow streams (temporalio.contrib), and an SSE endpoint that reads them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import uvloop
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.workflow_streams import WorkflowStream, WorkflowStreamClient
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from benchmarks.sides.serving import serve
from stepway.runtime.settings import load_settings

QUEUE = "streams"
STEPS = 8


@workflow.defn
class Streaming:
    """Hosts a stream; without `seconds` it never ends."""

    @workflow.init
    def __init__(self, seconds: float) -> None:
        self.stream = WorkflowStream()

    @workflow.run
    async def run(self, seconds: float) -> str:
        """Run the steps and publish each start and end; without `seconds` only host the stream."""
        steps = self.stream.topic("steps", type=dict)
        if not seconds:
            await workflow.wait_condition(lambda: False)
        for number in range(STEPS):
            step = {"step": f"step_{number}", "status": "running"}
            steps.publish(step)
            await workflow.execute_activity(
                pause, seconds, start_to_close_timeout=timedelta(minutes=1)
            )
            steps.publish({**step, "status": "completed"})
        return "active"


@activity.defn
async def pause(seconds: float) -> None:
    """Sleep for `seconds`, like a call to another system."""
    await asyncio.sleep(seconds)


class Peer:
    """Handles the requests of the bench."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._publisher: WorkflowStreamClient | None = None
        self._clients: list[asyncio.Queue[str]] = []

    async def start(self) -> str:
        """Start the workflow that hosts the stream; returns the stream's path."""
        workflow_id = str(uuid4())
        await self._client.start_workflow(Streaming.run, 0.0, id=workflow_id, task_queue=QUEUE)
        self._publisher = WorkflowStreamClient.create(self._client, workflow_id)
        self._reading = asyncio.create_task(self._read(workflow_id))
        return f"/events/{workflow_id}"

    async def change(self, mark: str) -> tuple[float, float]:
        """Publish a change; returns the times of the request and of Temporal's confirmation."""
        assert self._publisher
        asked = time.monotonic()
        topic = self._publisher.topic("steps", type=dict)
        topic.publish({"step": "step_0", "message": mark}, force_flush=True)
        await self._publisher.flush()
        return asked, time.monotonic()

    async def run(self, projects: int, seconds: float) -> float:
        """Run `projects` workflows in parallel; returns the seconds until the last has ended."""
        began = time.monotonic()
        await asyncio.gather(
            *(
                self._client.execute_workflow(
                    Streaming.run, seconds, id=str(uuid4()), task_queue=QUEUE
                )
                for _ in range(projects)
            )
        )
        return time.monotonic() - began

    def app(self) -> FastAPI:
        """The application with the SSE endpoint."""
        app = FastAPI()

        @app.get("/events/{workflow_id}")
        async def events(workflow_id: str) -> StreamingResponse:
            return StreamingResponse(self._frames(), media_type="text/event-stream")

        return app

    async def _read(self, workflow_id: str) -> None:
        """Read the stream once for all clients: a workflow accepts at most ten waiting updates."""
        reader = WorkflowStreamClient.create(self._client, workflow_id)
        item: Any
        async for item in reader.subscribe("steps", await reader.get_offset(), result_type=dict):
            frame = f"event: step\ndata: {json.dumps(item.data)}\n\n"
            for client in self._clients:
                client.put_nowait(frame)

    async def _frames(self) -> AsyncIterator[str]:
        client: asyncio.Queue[str] = asyncio.Queue()
        self._clients.append(client)
        yield ": hello\n\n"
        while True:
            yield await client.get()


async def main() -> None:
    """Serve until the bench ends."""
    client = await Client.connect(load_settings().temporal_address)
    peer = Peer(client)
    restrictions = SandboxRestrictions.default.with_passthrough_modules("benchmarks", "fastapi")
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Streaming],
        activities=[pause],
        max_concurrent_activities=50,
        workflow_runner=SandboxedWorkflowRunner(restrictions),
    ):
        await serve(peer.app(), {"start": peer.start, "change": peer.change, "run": peer.run})


if __name__ == "__main__":
    uvloop.run(main())
