"""The lower bound of a live stream: one Redis subscription, and an ASGI write per client."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from redis.asyncio import Redis

from benchmarks.sides.serving import serve
from stepway.runtime.settings import load_settings

HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
CHANNEL = "floor"


class Floor:
    """An ASGI application whose streams send each message unchanged."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[bytes]] = []

    async def listen(self, redis: Redis) -> None:
        """Pass each message to all streams."""
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    frame = b"id: 1\nevent: step\ndata: %s\n\n" % message["data"]
                    waiting, self._waiting = self._waiting, []
                    for each in waiting:
                        if not each.done():
                            each.set_result(frame)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Stream until the client disconnects."""
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
        loop = asyncio.get_running_loop()
        while True:
            future = loop.create_future()
            self._waiting.append(future)
            await send({"type": "http.response.body", "body": await future, "more_body": True})


async def main() -> None:
    """Serve until the bench ends."""
    floor = Floor()
    async with Redis.from_url(load_settings().redis_url) as redis:
        listening = asyncio.create_task(floor.listen(redis))
        await serve(floor)
        listening.cancel()


if __name__ == "__main__":
    uvloop.run(main())
