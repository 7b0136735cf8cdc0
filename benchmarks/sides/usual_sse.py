"""Live streams as they are usually written: a Redis subscription a client, JSON encoded for each.

The argument says by which library the events are framed: fastapi.sse or sse-starlette.
"""

# sse-starlette is not in this project's environment.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from redis.asyncio import Redis

from benchmarks.sides.serving import serve

CHANNEL = "floor"

redis = Redis.from_url(os.environ["STEPWAY_REDIS_URL"], max_connections=20_000)


async def messages() -> AsyncIterator[dict[str, Any]]:
    """What comes on the channel, over a subscription of one's own."""
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(CHANNEL)
        async for message in pubsub.listen():
            if message["type"] == "message":
                yield json.loads(message["data"])


def by_fastapi() -> FastAPI:
    """With FastAPI's own."""
    from fastapi.sse import EventSourceResponse, ServerSentEvent  # noqa: PLC0415 - the one or other

    app = FastAPI()

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="hello")
        async for message in messages():
            yield ServerSentEvent(data=message, event="step", id=str(message["version"]))

    return app


def by_sse_starlette() -> FastAPI:
    """With sse-starlette."""
    from sse_starlette import EventSourceResponse, ServerSentEvent  # noqa: PLC0415

    app = FastAPI()

    async def frames() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="hello")
        async for message in messages():
            data = json.dumps(message["data"])
            yield ServerSentEvent(data=data, event="step", id=str(message["version"]))

    @app.get("/events")
    async def events() -> EventSourceResponse:
        return EventSourceResponse(frames())

    return app


APPS = {"fastapi.sse": by_fastapi, "sse-starlette": by_sse_starlette}


if __name__ == "__main__":
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(APPS[sys.argv[1]]()))
