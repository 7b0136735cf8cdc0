"""The Redis subscription of a process, on a real server."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from stepway.runtime.settings import Settings
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.subscriber import RedisSubscriber


async def test_a_message_that_cannot_be_handled_keeps_no_later_one_away(servers: Settings) -> None:
    connected = asyncio.Event()
    received: asyncio.Queue[bytes] = asyncio.Queue()

    def on_message(channel: str, message: bytes) -> None:
        if message == b"bad":
            raise KeyError("status")
        received.put_nowait(message)

    name = f"test:{uuid4()}"
    subscriber = RedisSubscriber(
        servers.redis_url, HubOptions(), on_message=on_message, on_connected=connected.set
    )
    subscriber.start()
    try:
        async with asyncio.timeout(30), Redis.from_url(servers.redis_url) as redis:
            await connected.wait()
            await subscriber.subscribe(name)
            for message in (b"bad", b"good"):
                await redis.publish(name, message)
            assert await received.get() == b"good"
            assert subscriber.connected
    finally:
        await subscriber.close()


async def test_an_error_while_connecting_is_no_end(servers: Settings) -> None:
    connections: asyncio.Queue[int] = asyncio.Queue()

    def on_connected() -> None:
        connections.put_nowait(1)
        if connections.qsize() == 1:
            raise RuntimeError("the first connection is not wanted")

    subscriber = RedisSubscriber(
        servers.redis_url,
        HubOptions(reconnect_delay=0.05),
        on_message=lambda channel, message: None,
        on_connected=on_connected,
    )
    subscriber.start()
    try:
        async with asyncio.timeout(30):
            while connections.qsize() < 2:  # noqa: ASYNC110 - the queue is filled, not read
                await asyncio.sleep(0.05)
    finally:
        await subscriber.close()


@pytest.mark.parametrize("turns", range(0, 30, 2))
async def test_it_may_be_closed_while_it_connects(servers: Settings, turns: int) -> None:
    subscriber = RedisSubscriber(
        servers.redis_url,
        HubOptions(),
        on_message=lambda channel, message: None,
        on_connected=lambda: None,
    )
    subscriber.start()
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await subscriber.close()
