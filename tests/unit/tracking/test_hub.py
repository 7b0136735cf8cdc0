"""The hub by itself: its counts, its order with Redis, and the sweep of its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from stepway_tracking.stream import hub as hub_module
from stepway_tracking.stream.hub import Hub
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.publisher import channel
from tests.unit.tracking.test_hub_reading import (
    BY_NUDGE,
    QUICK,
    Client,
    Record,
    join,
    nudge,
    until,
    watching,
)


class Redis:
    """Has the methods of `RedisSubscriber`; confirms subscriptions once `confirming` is set."""

    def __init__(
        self,
        url: str,
        options: HubOptions,
        *,
        on_message: Callable[[str, bytes], None],
        on_connected: Callable[[], None],
    ) -> None:
        self.url = url
        self.options = options
        self.deliver = on_message
        self.on_connected = on_connected
        self.connected = False
        self.calls: list[str] = []
        self.confirming = asyncio.Event()

    def start(self) -> None:
        self.connected = True

    async def subscribe(self, name: str) -> None:
        self.calls.append(f"subscribe {name}")
        await self.confirming.wait()

    async def unsubscribe(self, name: str) -> None:
        self.calls.append(f"unsubscribe {name}")

    async def close(self) -> None:
        self.calls.append("close")
        self.connected = False


@pytest.fixture
def record() -> Record:
    made = Record()
    for _ in range(3):
        made.commit()
    return made


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hub], Redis]:
    """The hub's Redis."""
    monkeypatch.setattr(hub_module, "RedisSubscriber", Redis)

    def of(hub: Hub) -> Redis:
        assert isinstance(hub._subscriber, Redis)
        return hub._subscriber

    return of


async def test_hub_without_redis_says_that_it_is_not_connected(record: Record) -> None:
    async with watching(record) as hub:
        assert hub.redis_connected is False
        assert Hub(record).options == HubOptions()


async def test_hub_with_redis_says_whether_it_is_connected(
    record: Record, redis: Callable[[Hub], Redis]
) -> None:
    hub = Hub(record, "redis://here", QUICK)
    assert (redis(hub).url, redis(hub).options) == ("redis://here", QUICK)
    assert hub.redis_connected is False
    await hub.start()
    assert hub.redis_connected is True
    await hub.close()
    assert redis(hub).calls == ["close"]


async def test_each_new_connection_to_redis_is_counted_and_checked_at_once(
    record: Record, redis: Callable[[Hub], Redis]
) -> None:
    hub = Hub(record, "redis://here", replace(QUICK, check_interval=3600))
    redis(hub).confirming.set()
    await hub.start()
    client = await join(hub, record)
    record.commit()
    redis(hub).on_connected()
    await client.reaches(4)
    assert hub.counts.redis_connections == 1
    await hub.close()


async def test_nothing_is_read_before_redis_has_confirmed_and_clients_share_its_answer(
    record: Record, redis: Callable[[Hub], Redis]
) -> None:
    hub = Hub(record, "redis://here", BY_NUDGE)
    joining = [asyncio.create_task(hub.connect(record.project_id)) for _ in range(3)]
    await until(lambda: hub.streams == 3)
    joining[0].cancel()
    await asyncio.wait(joining[:1], timeout=10)
    assert "snapshot" not in record.reads
    redis(hub).confirming.set()
    clients = await asyncio.gather(*joining[1:])
    name = channel(record.project_id)
    assert redis(hub).calls == [f"subscribe {name}"]
    for client in clients:
        assert client is not None
        hub.leave(client)
    await until(lambda: f"unsubscribe {name}" in redis(hub).calls)
    await until(lambda: not hub._tasks)
    await hub.close()


async def test_wrong_order_waits_for_redis_too(
    record: Record, redis: Callable[[Hub], Redis]
) -> None:
    hub = Hub(record, "redis://here", replace(BY_NUDGE, subscribe_before_read=False))
    redis(hub).confirming.set()
    client = await hub.connect(record.project_id)
    assert redis(hub).calls == [f"subscribe {channel(record.project_id)}"]
    assert client is not None and client.version == 3
    await hub.close()


async def test_last_client_of_a_feed_that_was_replaced_does_not_unsubscribe(
    record: Record, redis: Callable[[Hub], Redis]
) -> None:
    hub = Hub(record, "redis://here", BY_NUDGE)
    redis(hub).confirming.set()
    old = await hub.connect(record.project_id)
    hub._retire(hub._feeds[record.project_id])
    new = await hub.connect(record.project_id)
    assert old is not None and new is not None
    hub.leave(old)
    for _ in range(3):
        await asyncio.sleep(0)
    name = channel(record.project_id)
    assert redis(hub).calls == [f"subscribe {name}"] * 2
    hub.leave(new)
    await until(lambda: redis(hub).calls[-1] == f"unsubscribe {name}")
    await hub.close()


async def test_project_that_nobody_watches_any_more_is_not_read(record: Record) -> None:
    async with watching(record, replace(BY_NUDGE, gap_delay=3600)) as hub:
        before = asyncio.all_tasks()
        client = await hub.connect(record.project_id)
        assert client is not None
        record.commit()
        nudge(hub, record, record.commit())
        assert asyncio.all_tasks() > before
        hub.leave(client)
        await until(lambda: asyncio.all_tasks() == before)


async def test_hub_that_closes_unsubscribes_from_no_project(
    record: Record, redis: Callable[[Hub], Redis]
) -> None:
    hub = Hub(record, "redis://here", BY_NUDGE)
    redis(hub).confirming.set()
    client = await hub.connect(record.project_id)
    assert client is not None
    await hub.close()
    hub.leave(client)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(call.startswith("unsubscribe") for call in redis(hub).calls)


async def test_events_and_streams_are_counted_also_after_clients_have_left(
    record: Record,
) -> None:
    async with watching(record, BY_NUDGE) as hub:
        gone, here = await join(hub, record), await join(hub, record, 1)
        await gone.reaches(3)
        await here.reaches(3)
        gone.task.cancel()
        hub.leave(gone.subscription)
        hub.leave(gone.subscription)
        nudge(hub, record, record.commit())
        await here.reaches(4)
        hub.receive(f"stepway:project:{uuid4()}", record.commit())
        assert hub.events_sent == 4
        assert (hub.streams, hub.projects) == (1, 1)
        assert hub.counts.streams_opened == 2
        assert hub.counts.streams_too_slow == 0
        assert hub.counts.events_received == 2
        here.task.cancel()
        hub.leave(here.subscription)
        assert hub.events_sent == 4
        assert (hub.streams, hub.projects) == (0, 0)


async def test_closed_hub_leaves_no_task_behind(record: Record) -> None:
    before = asyncio.all_tasks()
    hub = Hub(record, options=QUICK)
    await hub.start()
    assert asyncio.all_tasks() > before
    await hub.close()
    await hub.close()
    assert asyncio.all_tasks() == before


async def test_message_that_is_no_event_is_logged_and_not_counted(
    record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(record, BY_NUDGE) as hub:
        hub.receive(channel(record.project_id), b"[]")
        hub.receive("stepway:project:nobody", record.commit())
        assert hub.counts.events_received == 0
        logged = [each for each in caplog.records if each.name == hub_module.__name__]
        assert [each.getMessage() for each in logged] == [
            f"A message on {channel(record.project_id)} is not an event",
            "A message on stepway:project:nobody is not an event",
        ]


class Sweeps:
    """A hub whose clock the test sets, with one stream that began at 0."""

    def __init__(self, hub: Hub, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hub, self.client = hub, client
        self.client.expires_at, self.client.last_write, self.client.busy_since = 300.0, 0.0, None
        self._monkeypatch = monkeypatch

    def at(self, now: float) -> None:
        """Sweep at this time."""
        with self._monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "time", lambda: now, raising=False)
            self.hub._sweep()


SLOWLY = replace(BY_NUDGE, keepalive=15, sweep_interval=1, write_timeout=10)


@pytest.fixture
async def sweeps(record: Record, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    hub = Hub(record, options=SLOWLY)
    client = await hub.connect(record.project_id, 3)
    return Sweeps(hub, client, monkeypatch)


async def test_stream_gets_a_comment_before_it_was_silent_for_too_long(sweeps: Sweeps) -> None:
    reading = Client(sweeps.client)
    await asyncio.sleep(0)
    sweeps.at(12.9)
    await asyncio.sleep(0)
    assert reading.text == b""
    sweeps.at(13.0)
    await until(lambda: reading.text == b": keep-alive\n\n")


async def test_stream_that_writes_gets_no_comment(sweeps: Sweeps) -> None:
    sweeps.client.busy_since = 20.0
    sweeps.at(29.9)
    sweeps.client.busy_since = None
    reading = Client(sweeps.client)
    for _ in range(3):
        await asyncio.sleep(0)
    assert reading.text == b""


async def test_write_that_takes_too_long_is_aborted(sweeps: Sweeps) -> None:
    sweeps.client.task = asyncio.create_task(asyncio.sleep(3600))
    sweeps.client.busy_since = 20.0
    sweeps.at(30.0)
    assert not sweeps.client.abandoned
    sweeps.at(30.1)
    assert sweeps.client.abandoned


async def test_stream_ends_when_its_time_is_over(sweeps: Sweeps) -> None:
    reading = Client(sweeps.client)
    sweeps.at(299.9)
    await asyncio.sleep(0)
    assert not reading.task.done()
    sweeps.at(300.0)
    await asyncio.wait_for(reading.task, 10)


async def test_times_vary_by_the_jitter_and_are_never_longer(record: Record) -> None:
    hub = Hub(record, options=replace(QUICK, jitter=0.2))
    times = [hub._with_jitter(10) for _ in range(500)]
    assert 8 <= min(times) < 8.5 and 9.5 < max(times) <= 10
