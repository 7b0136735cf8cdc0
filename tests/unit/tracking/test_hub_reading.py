"""Reading without gaps, on a record in memory; tests deliver Redis' messages themselves."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from stepway_tracking.queries.reader import Position, Snapshot, StoredEvent
from stepway_tracking.record.errors import ProjectUnknown
from stepway_tracking.stream.hub import Hub, TooManyStreams
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.subscription import Subscription

QUICK = HubOptions(
    check_interval=0.05,
    sweep_interval=0.02,
    gap_delay=0.01,
    keepalive=60,
    write_timeout=60,
    read_timeout=2,
)
BY_NUDGE = replace(QUICK, position_check=False)


class Record:
    """One project's events in memory, read as the real `Reader` reads them."""

    def __init__(self) -> None:
        self.project_id = uuid4()
        self.events: list[StoredEvent] = []
        self.version = 0
        self.ended = False
        self.away = False
        self.reads: list[str] = []
        self.before_snapshot: Callable[[], None] = lambda: None
        self.after_snapshot: Callable[[], None] = lambda: None

    def commit(self, type_: str = "step", **data: Any) -> bytes:
        """Write an event, and return the nudge that may or may not be delivered."""
        self.version += 1
        self.ended = type_ == "end"
        body: dict[str, Any] = {"version": self.version, "progress": 1, **data}
        self.events.append(StoredEvent(self.version, type_, json.dumps(body).encode()))
        return json.dumps({"version": self.version, "type": type_, "data": body}).encode()

    def _read(self, what: str) -> None:
        self.reads.append(what)
        if self.away:
            raise ConnectionRefusedError("Postgres is away")

    async def snapshot(self, project_id: UUID) -> Snapshot | None:
        self._read("snapshot")
        self.before_snapshot()
        body = json.dumps({"version": self.version, "steps": []}).encode()
        found = Snapshot(self.version, "initializing", self.ended, body)
        await asyncio.sleep(0)
        self.after_snapshot()
        return found if project_id == self.project_id else None

    async def events_after(
        self, project_id: UUID, version: int, limit: int = 1000
    ) -> list[StoredEvent]:
        self._read("events")
        await asyncio.sleep(0)
        return [event for event in self.events if event.version > version][:limit]

    async def positions(self, project_ids: Iterable[UUID]) -> dict[UUID, Position]:
        self._read("positions")
        here = Position(self.version, self.ended)
        await asyncio.sleep(0)
        return {self.project_id: here} if self.project_id in set(project_ids) else {}


class Client:
    """Reads a subscription to its end and collects the chunks."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.text = b""
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while (chunk := await self.subscription.next()) is not None:
            self.text += chunk

    @property
    def ids(self) -> list[int]:
        return [int(line[4:]) for line in self.text.splitlines() if line.startswith(b"id: ")]

    @property
    def types(self) -> list[str]:
        lines = self.text.decode().splitlines()
        return [line[7:] for line in lines if line.startswith("event: ")]

    async def reaches(self, version: int) -> None:
        await until(lambda: bool(self.ids) and self.ids[-1] >= version)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - whatever the condition, nothing signals it
            await asyncio.sleep(0.005)


@asynccontextmanager
async def watching(record: Record, options: HubOptions = QUICK) -> AsyncIterator[Hub]:
    hub = Hub(record, options=options)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.close()


async def join(hub: Hub, record: Record, last: int | None = None) -> Client:
    subscription = await hub.connect(record.project_id, last)
    assert subscription is not None
    return Client(subscription)


def nudge(hub: Hub, record: Record, message: bytes) -> None:
    hub.receive(f"stepway:project:{record.project_id}", message)


@pytest.fixture
def record() -> Record:
    made = Record()
    for _ in range(3):
        made.commit()
    return made


async def test_new_client_gets_a_snapshot_and_then_each_event(record: Record) -> None:
    async with watching(record, BY_NUDGE) as hub:
        client = await join(hub, record)
        nudge(hub, record, record.commit())
        nudge(hub, record, record.commit())
        await client.reaches(5)
        assert client.ids == [3, 4, 5]
        assert client.types == ["snapshot", "step", "step"]


async def test_returning_client_gets_only_what_it_missed(record: Record) -> None:
    async with watching(record, BY_NUDGE) as hub:
        client = await join(hub, record, 1)
        await client.reaches(3)
        nudge(hub, record, record.commit())
        await client.reaches(4)
        assert client.ids == [2, 3, 4]
        assert "snapshot" not in record.reads


async def test_client_at_version_zero_gets_everything(record: Record) -> None:
    async with watching(record, BY_NUDGE) as hub:
        client = await join(hub, record, 0)
        await client.reaches(3)
        assert client.ids == [1, 2, 3]


async def test_id_from_the_future_gets_a_snapshot(record: Record) -> None:
    async with watching(record) as hub:
        client = await join(hub, record, 99)
        await client.reaches(3)
        assert client.types == ["snapshot"]


async def test_events_twice_and_out_of_order_arrive_once_and_in_order(record: Record) -> None:
    async with watching(record, replace(BY_NUDGE, gap_delay=5)) as hub:
        client = await join(hub, record)
        nudges = [record.commit() for _ in range(4)]
        for position in (1, 1, 3, 0, 2, 0, 3):
            nudge(hub, record, nudges[position])
        await client.reaches(7)
        assert client.ids == [3, 4, 5, 6, 7]
        assert "events" not in record.reads


async def test_gap_is_read_from_postgres_without_a_disconnect(record: Record) -> None:
    async with watching(record, BY_NUDGE) as hub:
        client = await join(hub, record)
        record.commit()
        record.commit()
        nudge(hub, record, record.commit())
        await client.reaches(6)
        assert client.ids == [3, 4, 5, 6]
        assert not client.task.done()
        assert hub.counts.gaps_repaired == 1


async def test_lost_last_event_is_found_by_the_position_check(record: Record) -> None:
    async with watching(record) as hub:
        client = await join(hub, record)
        record.commit()
        await client.reaches(4)
        assert client.ids == [3, 4]


async def test_without_the_position_check_a_lost_last_event_stays_lost(record: Record) -> None:
    async with watching(record, BY_NUDGE) as hub:
        client = await join(hub, record)
        record.commit()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.reaches(4)


async def test_event_between_subscribing_and_reading_is_not_lost(record: Record) -> None:
    async with watching(record, BY_NUDGE) as hub:

        def meanwhile() -> None:
            record.after_snapshot = lambda: None
            nudge(hub, record, record.commit())

        record.after_snapshot = meanwhile
        client = await join(hub, record)
        await client.reaches(4)
        assert client.ids == [3, 4]


async def test_subscribing_after_reading_loses_what_came_between(record: Record) -> None:
    async with watching(record, replace(QUICK, subscribe_before_read=False)) as hub:

        def meanwhile() -> None:
            record.after_snapshot = lambda: None
            record.commit()

        record.after_snapshot = meanwhile
        client = await join(hub, record)
        nudge(hub, record, record.commit())
        await client.reaches(5)
        assert client.ids == [3, 5]


async def test_events_pruned_after_a_gap_are_replaced_by_a_snapshot(record: Record) -> None:
    async with watching(record) as hub:
        client = await join(hub, record)
        record.commit()
        record.commit()
        del record.events[3]
        await client.reaches(5)
        assert client.ids == [3, 5]
        assert client.types == ["snapshot", "snapshot"]


async def test_client_whose_events_were_pruned_gets_a_snapshot(record: Record) -> None:
    del record.events[1]
    async with watching(record) as hub:
        client = await join(hub, record, 1)
        await client.reaches(3)
        assert client.types == ["snapshot"]


async def test_client_further_back_than_is_kept_gets_a_snapshot(record: Record) -> None:
    for _ in range(20):
        record.commit()
    async with watching(record, replace(QUICK, queue_size=5)) as hub:
        far = await join(hub, record, 2)
        near = await join(hub, record, 19)
        await far.reaches(23)
        await near.reaches(23)
        assert far.types == ["snapshot"]
        assert near.ids == [20, 21, 22, 23]


async def test_many_returning_clients_share_one_read(record: Record) -> None:
    async with watching(record, BY_NUDGE) as hub:
        clients = await asyncio.gather(*(join(hub, record, n % 4) for n in range(100)))
        nudge(hub, record, record.commit())
        for client in clients:
            await client.reaches(4)
        assert [client.ids for client in clients] == [list(range(n % 4 + 1, 5)) for n in range(100)]
        assert record.reads.count("events") == 1
        assert record.reads.count("positions") == 1


async def test_many_new_clients_share_one_snapshot(record: Record) -> None:
    async with watching(record, BY_NUDGE) as hub:
        clients = await asyncio.gather(*(join(hub, record) for _ in range(100)))
        for client in clients:
            await client.reaches(3)
        assert record.reads.count("snapshot") == 1


async def test_shared_snapshot_is_followed_by_what_came_since(record: Record) -> None:
    async with watching(record, replace(BY_NUDGE, snapshot_age=60)) as hub:
        await join(hub, record)
        nudge(hub, record, record.commit())
        later = await join(hub, record)
        await later.reaches(4)
        assert later.ids == [3, 4]
        assert record.reads.count("snapshot") == 1


async def test_stream_closes_after_the_end(record: Record) -> None:
    async with watching(record, BY_NUDGE) as hub:
        client = await join(hub, record)
        nudge(hub, record, record.commit("end", status="active"))
        await asyncio.wait_for(client.task, 5)
        assert client.types == ["snapshot", "end"]


async def test_lost_end_is_found_by_the_position_check(record: Record) -> None:
    async with watching(record) as hub:
        client = await join(hub, record)
        record.commit("end", status="active")
        await asyncio.wait_for(client.task, 5)
        assert client.types == ["snapshot", "end"]


async def test_client_at_the_end_has_nothing_to_wait_for(record: Record) -> None:
    record.commit("end", status="active")
    async with watching(record) as hub:
        assert await hub.connect(record.project_id, 4) is None
        behind = await join(hub, record, 3)
        await asyncio.wait_for(behind.task, 5)
        assert behind.types == ["end"]
        new = await join(hub, record)
        await asyncio.wait_for(new.task, 5)
        assert new.types == ["snapshot"]


async def test_overtaken_end_is_told_as_a_change_of_the_project(record: Record) -> None:
    record.commit("end", status="failed")
    record.commit()
    async with watching(record) as hub:
        client = await join(hub, record, 2)
        await client.reaches(5)
        assert client.ids == [3, 4, 5]
        assert client.types == ["step", "project", "step"]
        assert not client.task.done()


async def test_client_of_an_initialization_that_was_retried_is_not_sent_away(
    record: Record,
) -> None:
    record.commit("end", status="failed")
    async with watching(record, BY_NUDGE) as hub:
        slow = await hub.connect(record.project_id, 3)
        assert slow is not None
        record.commit()
        client = await join(hub, record, 5)
        nudge(hub, record, record.commit())
        await client.reaches(6)
        assert client.ids == [6]


async def test_unknown_project_is_refused_and_leaves_nothing_behind(record: Record) -> None:
    async with watching(record) as hub:
        with pytest.raises(ProjectUnknown):
            await hub.connect(uuid4())
        assert hub.streams == hub.projects == 0


async def test_streams_are_bounded(record: Record) -> None:
    async with watching(record, replace(QUICK, max_streams=2)) as hub:
        first = await join(hub, record)
        await join(hub, record)
        with pytest.raises(TooManyStreams):
            await hub.connect(record.project_id)
        hub.leave(first.subscription)
        await join(hub, record)
        assert hub.counts.streams_refused == 1


async def test_failed_connect_leaves_nothing_behind(record: Record) -> None:
    def gone() -> None:
        raise ConnectionResetError

    async with watching(record) as hub:
        record.before_snapshot = gone
        with pytest.raises(ConnectionResetError):
            await hub.connect(record.project_id)
        assert hub.streams == hub.projects == 0


async def test_postgres_away_for_a_while_loses_nothing(record: Record) -> None:
    async with watching(record) as hub:
        client = await join(hub, record)
        record.away = True
        record.commit()
        nudge(hub, record, record.commit())
        failed = len(record.reads) + 3
        await until(lambda: len(record.reads) >= failed)
        assert client.ids == [3]
        record.away = False
        await client.reaches(5)
        assert client.ids == [3, 4, 5]


async def test_client_that_lags_too_far_is_closed_and_costs_the_others_nothing(
    record: Record,
) -> None:
    async with watching(record, replace(BY_NUDGE, queue_size=5)) as hub:
        frozen = await hub.connect(record.project_id)
        assert frozen is not None
        assert await frozen.next() is not None
        quick = await join(hub, record)
        for version in range(4, 24):
            nudge(hub, record, record.commit())
            await quick.reaches(version)
        assert quick.ids == list(range(3, 24))
        assert await frozen.next() is None
        hub.leave(frozen)
        assert hub.counts.streams_too_slow == 1


async def test_client_whose_write_takes_too_long_is_cancelled(record: Record) -> None:
    async with watching(record, replace(QUICK, write_timeout=0.1)) as hub:
        frozen = await hub.connect(record.project_id)
        assert frozen is not None

        async def write_for_ever() -> None:
            await frozen.next()
            await asyncio.Event().wait()

        frozen.task = asyncio.create_task(write_for_ever())
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(frozen.task), 5)
        assert frozen.abandoned


async def test_quiet_client_gets_comments(record: Record) -> None:
    async with watching(record, replace(QUICK, keepalive=0.1)) as hub:
        client = await join(hub, record)
        await until(lambda: client.text.count(b": keep-alive\n\n") >= 3)
        assert client.ids == [3]


async def test_streams_are_rotated(record: Record) -> None:
    async with watching(record, replace(QUICK, rotate_after=0.2)) as hub:
        client = await join(hub, record)
        await asyncio.wait_for(client.task, 5)


async def test_close_ends_every_stream_and_admits_no_other(record: Record) -> None:
    async with watching(record) as hub:
        clients = [await join(hub, record) for _ in range(5)]
        await hub.close()
        await asyncio.wait_for(asyncio.gather(*(client.task for client in clients)), 1)
        with pytest.raises(TooManyStreams):
            await hub.connect(record.project_id)


async def test_deleted_project_ends_its_streams(record: Record) -> None:
    async with watching(record) as hub:
        client = await join(hub, record)
        record.project_id = uuid4()
        await asyncio.wait_for(client.task, 5)


async def test_versions_that_postgres_lost_end_the_streams(record: Record) -> None:
    async with watching(record) as hub:
        client = await join(hub, record)
        record.version = 2
        record.events.pop()
        await asyncio.wait_for(client.task, 5)
        again = await join(hub, record, 3)
        await again.reaches(2)
        assert again.types == ["snapshot"]


@pytest.mark.parametrize("message", [b"", b"nonsense", b"[]", b'{"version": "x"}', b"\xff\xfe"])
async def test_message_that_is_no_event_is_ignored(record: Record, message: bytes) -> None:
    async with watching(record, BY_NUDGE) as hub:
        client = await join(hub, record)
        nudge(hub, record, message)
        hub.receive("stepway:project:nobody", record.commit())
        nudge(hub, record, record.commit())
        await client.reaches(5)
        assert client.ids == [3, 4, 5]


async def test_every_client_gets_every_version_under_a_storm(record: Record) -> None:
    """Lost, duplicate and late messages, and clients that reconnect at random."""
    chance = random.Random(7)

    async def come_and_go(hub: Hub) -> list[int]:
        seen: list[int] = []
        while not record.ended or seen[-1] < record.version:
            subscription = await hub.connect(record.project_id, seen[-1] if seen else 0)
            if subscription is None:
                break
            client = Client(subscription)
            await asyncio.wait([client.task], timeout=chance.uniform(0, 0.05))
            client.task.cancel()
            hub.leave(subscription)
            seen += client.ids
        return seen

    async with watching(record, replace(QUICK, queue_size=1000)) as hub:
        clients = [asyncio.create_task(come_and_go(hub)) for _ in range(20)]
        late: list[bytes] = []
        for _ in range(300):
            late.append(record.commit())
            chance.shuffle(late)
            for message in late[: chance.randint(0, 3)]:
                nudge(hub, record, message)
            late = late[chance.randint(0, 3) :]
            await asyncio.sleep(0.001)
        record.commit("end", status="active")
        done: Awaitable[list[list[int]]] = asyncio.gather(*clients)
        for seen in await asyncio.wait_for(done, 20):
            assert seen == list(range(1, record.version + 1))
