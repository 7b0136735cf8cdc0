"""One client's place in the log, and when it is woken."""

from __future__ import annotations

import asyncio

from stepway_tracking.stream.event_log import EventLog, encode
from stepway_tracking.stream.subscription import KEEPALIVE, Subscription


def a_log(*versions: int, start: int = 0) -> EventLog:
    log = EventLog(4, 10_000)
    log.start(start, ended=False)
    for version in versions:
        log.append(encode(version, "step", b"{}"))
    return log


def subscription(log: EventLog, after: int = 0, first: bytes | None = None) -> Subscription:
    made = Subscription(log, now=1.0, expires_at=2.0)
    made.start(after, first)
    return made


async def test_snapshot_goes_first_and_then_what_follows_it() -> None:
    it = subscription(a_log(1, 2, 3), 1, b"snapshot")
    assert await it.next() == b"snapshot"
    assert (it.sent, it.version) == (1, 1)
    chunk = await it.next()
    assert chunk and chunk.count(b"id: ") == 2
    assert (it.sent, it.version) == (3, 3)


async def test_write_is_busy_from_its_bytes_to_the_next_call() -> None:
    it = subscription(a_log(1))
    assert (it.busy_since, it.last_write) == (None, 1.0)
    before = asyncio.get_running_loop().time()
    assert await it.next()
    assert it.busy_since is not None and it.busy_since == it.last_write >= before
    waiting = asyncio.create_task(it.next())
    await asyncio.sleep(0)
    assert it.busy_since is None
    it.finish()
    assert await waiting is None


async def test_keepalive_is_sent_once_and_counts_as_no_event() -> None:
    it = subscription(a_log())
    waiting = asyncio.create_task(it.next())
    await asyncio.sleep(0)
    it.keep_alive()
    assert await waiting == KEEPALIVE
    assert it.sent == 0
    waiting = asyncio.create_task(it.next())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    it.wake()
    it.wake()
    await asyncio.sleep(0.05)
    assert not waiting.done()
    it.finish()
    assert await waiting is None


async def test_events_come_before_a_keepalive() -> None:
    log = a_log(1)
    it = subscription(log)
    it.keep_alive()
    chunk = await it.next()
    assert chunk and b"id: 1" in chunk
    assert await it.next() == KEEPALIVE


async def test_client_behind_what_is_kept_is_too_slow() -> None:
    it = subscription(a_log(*range(1, 10)))
    assert await it.next() is None
    assert it.too_slow


async def test_stream_ends_with_the_log_but_not_before_its_snapshot() -> None:
    log = EventLog(4, 10_000)
    log.start(5, ended=True)
    it = subscription(log, 5, b"snapshot")
    assert await it.next() == b"snapshot"
    assert await it.next() is None
    assert await subscription(log, 5).next() is None
    assert not it.too_slow


async def test_stream_that_is_finished_sends_nothing_more() -> None:
    it = subscription(a_log(1), 0, b"snapshot")
    it.finish()
    assert await it.next() is None


async def test_write_that_does_not_finish_is_abandoned_once() -> None:
    async def writes() -> None:
        await asyncio.sleep(3600)

    it = subscription(a_log(1))
    it.abandon()
    assert not it.abandoned
    it.task = asyncio.create_task(writes())
    await asyncio.sleep(0)
    it.abandon()
    it.abandon()
    assert it.abandoned and it.too_slow
    assert it.task.cancelling() == 1
    await asyncio.gather(it.task, return_exceptions=True)
