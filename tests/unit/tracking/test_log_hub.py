"""Readers of one log that begin and end while Redis is slow."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from stepway_tracking.logs.attempt_log import AttemptKey
from stepway_tracking.logs.hub import LogHub
from stepway_tracking.logs.line import LogLine
from stepway_tracking.logs.store import Chunk
from tests.support.servers import eventually

KEY = AttemptKey("00000000-0000-0000-0000-000000000000", "step", "run", "1", 1)


class Lines:
    """A store with one line a row; counts its reads."""

    def __init__(self) -> None:
        self.rows: list[Chunk] = []
        self.reads = 0

    def add(self) -> None:
        seq = len(self.rows) + 1
        line = LogLine(seq, datetime.now(UTC), "info", "log", "x")
        self.rows.append(Chunk((line,), seq - 1, 1, seq, seq))

    def end(self) -> None:
        seq = len(self.rows) + 1
        self.rows.append(Chunk((), seq - 1, 0, seq, seq, ends=True))

    async def read(self, key: AttemptKey, after: int, *_: Any) -> list[Chunk]:
        self.reads += 1
        return self.rows[after:]

    async def last_seq(self, key: AttemptKey) -> int:
        return len(self.rows)


class SlowRedis:
    """Confirms a subscription when it is allowed to."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.channels: list[str] = []

    async def subscribe(self, channel: str) -> None:
        self.channels.append(channel)
        await self.answers.wait()

    async def unsubscribe(self, channel: str) -> None:
        await asyncio.sleep(0)
        self.channels.remove(channel)

    async def close(self) -> None:
        pass


@pytest.fixture
def lines() -> Lines:
    return Lines()


async def hub_of(lines: Lines) -> tuple[LogHub, SlowRedis]:
    async def outcome(key: AttemptKey) -> None:
        return None

    hub, redis = LogHub(lines, outcome), SlowRedis()  # type: ignore[arg-type]
    hub._subscriber = redis  # type: ignore[assignment]
    return hub, redis


async def follow(hub: LogHub, seen: list[int]) -> None:
    async with hub.follow(KEY, 0) as rows:
        async for row in rows:
            seen.append(row.last_seq)


async def test_a_reader_that_leaves_early_does_not_stop_the_others(lines: Lines) -> None:
    hub, redis = await hub_of(lines)
    lines.add()
    seen: list[int] = []
    first = asyncio.create_task(follow(hub, []))
    await eventually(lambda: _is(redis.channels))
    second = asyncio.create_task(follow(hub, seen))
    await eventually(lambda: _is(hub._feeds[KEY].readers == 2))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    redis.answers.set()
    await eventually(lambda: _is(seen == [1]))
    lines.add()
    await eventually(lambda: _is(seen == [1, 2]))
    lines.add()
    await eventually(lambda: _is(seen == [1, 2, 3]))
    assert not second.done()
    await hub.close()
    await asyncio.wait_for(second, 10)


async def test_a_log_without_readers_is_not_read_any_more(lines: Lines) -> None:
    hub, redis = await hub_of(lines)
    lines.add()
    redis.answers.set()
    seen: list[int] = []
    # Servers cancel a reader like this: whatever it waits for afterwards is cancelled too.
    async with anyio.create_task_group() as group:
        group.start_soon(follow, hub, seen)
        await eventually(lambda: _is(seen))
        feed = hub._feeds[KEY]._task
        group.cancel_scope.cancel()
    assert feed is not None and not hub._feeds
    await asyncio.wait([feed], timeout=10)
    assert feed.done()
    await eventually(lambda: _is(not redis.channels))
    await hub.close()


async def test_a_log_whose_end_is_written_before_the_outcome_is_followed_until_then(
    lines: Lines,
) -> None:
    outcomes: list[str] = []
    asked = 0

    async def outcome(key: AttemptKey) -> str | None:
        nonlocal asked
        asked += 1
        return outcomes[0] if outcomes else None

    hub = LogHub(lines, outcome)  # type: ignore[arg-type]
    seen: list[int] = []
    reader = asyncio.create_task(follow(hub, seen))
    lines.add()
    lines.end()
    await eventually(lambda: _is(asked > 1))
    assert seen == [1, 2] and not reader.done()
    outcomes.append("completed")
    await asyncio.wait_for(reader, 10)
    await hub.close()


async def _is(condition: object) -> bool:
    return bool(condition)
