"""Live streams in their usual form: a Redis subscription and JSON encoding for each client.

The argument is the library that frames the events: fastapi.sse or sse-starlette.
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
    """Messages of the channel, over a separate subscription."""
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(CHANNEL)
        async for message in pubsub.listen():
            if message["type"] == "message":
                yield json.loads(message["data"])


def by_fastapi() -> FastAPI:
    """An application that uses fastapi.sse."""
    from fastapi.sse import EventSourceResponse, ServerSentEvent  # noqa: PLC0415 - only the chosen one

    app = FastAPI()

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="hello")
        async for message in messages():
            yield ServerSentEvent(data=message, event="step", id=str(message["version"]))

    return app


def by_sse_starlette() -> FastAPI:
    """An application that uses sse-starlette."""
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
