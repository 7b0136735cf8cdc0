"""Telling Redis never holds a write up: in the background, in order, and no more than fits."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisAway

from stepway_tracking.stream import publisher as module
from stepway_tracking.stream.publisher import PUBLISH_FAILURES, Publisher, channel, open_redis


class Pipeline:
    def __init__(self, redis: FakeRedis) -> None:
        self._redis = redis
        self._batch: list[tuple[str, str]] = []

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def publish(self, name: str, message: str) -> None:
        self._batch.append((name, message))

    async def execute(self) -> None:
        await self._redis.answers.wait()
        if self._redis.away:
            raise RedisAway("away")
        self._redis.batches.append(self._batch)


class FakeRedis:
    """A Redis that answers when it is let."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.away = False
        self.batches: list[list[tuple[str, str]]] = []

    def pipeline(self, **_: Any) -> Pipeline:
        return Pipeline(self)

    @property
    def said(self) -> list[tuple[str, str]]:
        return [each for batch in self.batches for each in batch]


def failures() -> float:
    return PUBLISH_FAILURES._value.get()  # type: ignore[no-any-return]


async def test_silent_redis_holds_nobody_up() -> None:
    async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_redis(f"redis://127.0.0.1:{port}/0") as redis:
        publisher = Publisher(redis)
        started = time.monotonic()
        for number in range(20):
            await publisher.publish("p", [str(number)])
            await asyncio.sleep(0)
        assert time.monotonic() - started < 0.5
        await publisher.close()
        assert time.monotonic() - started < module.LAST_PATIENCE + 1
    server.close()


async def test_events_are_sent_in_order_together_and_before_the_end() -> None:
    redis = FakeRedis()
    publisher = Publisher(redis)  # type: ignore[arg-type]
    for number in range(module.AT_ONCE + 10):
        await publisher.publish("ab"[number % 2], [str(number), f"{number}+"])
    await publisher.publish("a", [])
    redis.answers.set()
    await publisher.close()
    for project in "ab":
        said = [m for name, m in redis.said if name == channel(project)]
        assert said == [
            each
            for number in range(module.AT_ONCE + 10)
            if "ab"[number % 2] == project
            for each in (str(number), f"{number}+")
        ]
    assert max(map(len, redis.batches)) == module.AT_ONCE


async def test_no_more_waits_than_fits_and_what_is_lost_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    before, redis = failures(), FakeRedis()
    publisher = Publisher(redis)  # type: ignore[arg-type]
    for name in "abcde":
        await publisher.publish("p", [name])
    redis.answers.set()
    await publisher.close()
    assert [message for _, message in redis.said] == ["a", "b", "c"]
    assert failures() == before + 2


async def test_redis_that_comes_back_gets_what_comes_after() -> None:
    before, redis = failures(), FakeRedis()
    redis.answers.set()
    redis.away = True
    publisher = Publisher(redis)  # type: ignore[arg-type]
    await publisher.publish("p", ["lost"])
    await asyncio.sleep(0.01)
    redis.away = False
    await publisher.publish("p", ["found"])
    await publisher.close()
    assert [message for _, message in redis.said] == ["found"]
    assert failures() == before + 1


async def test_close_gives_a_silent_redis_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_PATIENCE", 0.05)
    redis = FakeRedis()
    publisher = Publisher(redis)  # type: ignore[arg-type]
    await publisher.publish("p", ["never"])
    async with asyncio.timeout(1):
        await publisher.close()
    assert redis.said == []
    await Publisher(redis).close()  # type: ignore[arg-type]
