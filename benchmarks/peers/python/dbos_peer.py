"""DBOS: durable steps in Postgres, and an SSE endpoint that reads its streams."""

# The peer's packages are not in this project's environment.
# mypy: disable-error-code="import-not-found, untyped-decorator"

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from dbos import DBOS, DBOSConfig, SetWorkflowID
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from benchmarks.sides.serving import serve

STEPS = 8
marks: asyncio.Queue[tuple[str, asyncio.Future[tuple[float, float]]]] = asyncio.Queue()
app = FastAPI()


@DBOS.step()
async def pause(seconds: float) -> str:
    """Sleep for `seconds`, like a call to another system."""
    await asyncio.sleep(seconds)
    return "done"


@DBOS.workflow()
async def run_all(seconds: float) -> str:
    """Run the steps; write each start and end to the stream."""
    for number in range(STEPS):
        step = {"step": f"step_{number}", "status": "running"}
        await DBOS.write_stream_async("steps", step)
        await pause(seconds)
        await DBOS.write_stream_async("steps", {**step, "status": "completed"})
    return "active"


@DBOS.workflow()
async def be_changed() -> None:
    """Write a mark for each request of the bench."""
    await DBOS.write_stream_async("steps", {"step": "step_0", "status": "running"})
    while True:
        mark, done = await marks.get()
        asked = time.monotonic()
        await DBOS.write_stream_async("steps", {"step": "step_0", "message": mark})
        done.set_result((asked, time.monotonic()))


@app.get("/events/{workflow_id}")
async def events(workflow_id: str) -> StreamingResponse:
    """The events of the workflow's stream."""

    async def frames() -> AsyncIterator[str]:
        yield ": hello\n\n"
        async for value in DBOS.read_stream_async(workflow_id, "steps"):
            yield f"event: step\ndata: {json.dumps(value)}\n\n"

    return StreamingResponse(frames(), media_type="text/event-stream")


async def start() -> str:
    """Start the workflow `be_changed`; returns the path of its stream."""
    workflow_id = str(uuid4())
    with SetWorkflowID(workflow_id):
        await DBOS.start_workflow_async(be_changed)
    return f"/events/{workflow_id}"


async def change(mark: str) -> tuple[float, float]:
    """Make a change; returns the times of the request and the commit."""
    done: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()
    await marks.put((mark, done))
    return await done


async def run(projects: int, seconds: float) -> float:
    """Run `projects` workflows in parallel; returns the seconds until the last has ended."""
    began = time.monotonic()

    async def one() -> Any:
        handle = await DBOS.start_workflow_async(run_all, seconds)
        return await handle.get_result(polling_interval_sec=0.05)

    await asyncio.gather(*(one() for _ in range(projects)))
    return time.monotonic() - began


async def main() -> None:
    """Serve until the bench ends."""
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": os.environ["PEER_DATABASE_URL"],
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    await serve(app, {"start": start, "change": change, "run": run})
    os._exit(0)  # its threads wait for the workflow that never ends


if __name__ == "__main__":
    asyncio.run(main())
