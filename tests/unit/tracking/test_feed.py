"""One project's feed, with events that arrive early, late or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from asyncpg.exceptions import UndefinedTableError

from stepway_tracking.queries.reader import Position, Snapshot, StoredEvent
from stepway_tracking.stream.event_log import Event, encode
from stepway_tracking.stream.feed import Feed, HubCounts
from stepway_tracking.stream.subscription import Subscription
from tests.unit.tracking.test_hub_reading import QUICK, Record, until

NEVER = 3600.0


def a_record(versions: int) -> Record:
    record = Record()
    for _ in range(versions):
        record.commit()
    return record


def a_feed(record: Record, version: int | None = None, **options: float) -> Feed:
    """A feed, whose log is at this version."""
    counts = HubCounts()
    changed = replace(QUICK, **options)  # type: ignore[arg-type]
    feed = Feed(record.project_id, record, changed, counts)  # type: ignore[arg-type]
    if version is not None:
        feed.log.start(version, ended=False)
    return feed


def step(version: int) -> Event:
    return encode(version, "step", b'{"progress": 1}')


def subscribed(feed: Feed) -> Subscription:
    made = Subscription(feed.log, now=0.0, expires_at=NEVER)
    feed.subscriptions.add(made)
    return made


def test_counts_begin_at_zero() -> None:
    assert set(vars(HubCounts()).values()) == {0}


async def test_events_that_wait_for_the_log_are_bounded() -> None:
    feed = a_feed(a_record(3), queue_size=4)
    for version in range(5, 15):
        feed.offer(step(version))
    assert len(feed._early) == 4
    feed.close()


async def test_event_that_finds_no_room_is_read_from_postgres() -> None:
    feed = a_feed(a_record(15), 3, queue_size=4)
    for version in (5, 6, 7, 8, 15):
        feed.offer(step(version))
    await until(lambda: feed.log.version == 15)
    feed.close()


@pytest.mark.parametrize("early", [(2, 3, 5), (3, 5)])
async def test_events_from_before_the_snapshot_are_forgotten(early: tuple[int, ...]) -> None:
    feed = a_feed(a_record(3), gap_delay=NEVER)
    for version in early:
        feed.offer(step(version))
    await feed.start(subscribed(feed), None, 3)
    assert feed.log.version == 3
    assert set(feed._early) == {5}
    feed.close()


async def test_older_position_says_nothing_about_the_end() -> None:
    feed = a_feed(a_record(3), 3)
    feed.compare(Position(2, True))
    assert not feed.log.ended
    feed.compare(Position(3, True))
    assert feed.log.ended
    feed.compare(Position(3, False))
    assert not feed.log.ended


async def test_event_that_comes_while_the_first_snapshot_is_read_follows_it() -> None:
    feed = a_feed(a_record(1), gap_delay=NEVER)
    for version in (1, 2):
        feed.offer(step(version))
    await feed.start(subscribed(feed), None, 1)
    assert feed.log.version == 2
    feed.close()


async def test_end_that_the_position_check_finds_ends_a_stream_that_waits() -> None:
    feed = a_feed(a_record(3), 3)
    client = subscribed(feed)
    client.start(3)
    waiting = asyncio.create_task(client.next())
    await asyncio.sleep(0)
    feed.compare(Position(3, True))
    async with asyncio.timeout(10):
        assert await waiting is None
    feed.close()


async def test_client_that_can_resume_from_the_log_costs_no_read() -> None:
    record = a_record(3)
    feed = a_feed(record, 3)
    await feed.start(subscribed(feed), 3, 3)
    assert not record.reads
    feed.close()


async def test_clients_that_are_too_far_behind_cost_one_read_of_events() -> None:
    record = a_record(20)
    feed = a_feed(record, queue_size=5)
    for _ in range(3):
        await feed.start(subscribed(feed), 2, 20)
    assert record.reads.count("events") == 1
    feed.close()


async def test_client_that_resumes_gets_the_newest_events_in_one_read() -> None:
    record = a_record(100)
    feed = a_feed(record, queue_size=5, gap_delay=NEVER)
    await feed.start(subscribed(feed), 98, 100)
    assert record.reads == ["events"]
    assert feed.log.version == 100
    feed.close()


async def test_client_can_resume_after_a_read_has_failed() -> None:
    record = a_record(3)
    feed = a_feed(record)
    record.away = True
    with pytest.raises(ConnectionRefusedError):
        await feed.start(subscribed(feed), 1, 3)
    record.away = False
    await feed.start(subscribed(feed), 1, 3)
    assert record.reads == ["events", "events"]
    feed.close()


async def test_snapshot_is_shared_for_as_long_as_the_log_continues_it_and_no_longer() -> None:
    record = a_record(3)
    feed = a_feed(record, queue_size=2, gap_delay=NEVER, snapshot_age=NEVER)
    await feed.start(subscribed(feed), None, 3)
    await feed.start(subscribed(feed), None, 3)
    assert record.reads.count("snapshot") == feed._counts.snapshots_read == 1
    for version in range(4, 9):
        record.commit()
        feed.offer(step(version))
    await feed.start(subscribed(feed), None, 8)
    assert record.reads.count("snapshot") == 2
    feed.close()


async def test_snapshot_is_shared_for_no_longer_than_its_age() -> None:
    record = a_record(3)
    feed = a_feed(record, snapshot_age=0)
    for _ in range(2):
        await feed.start(subscribed(feed), None, 3)
        await asyncio.sleep(0.01)
    assert record.reads.count("snapshot") == 2
    feed.close()


async def test_snapshot_that_is_newer_than_the_log_brings_the_log_up_to_it() -> None:
    feed = a_feed(a_record(5), 3)
    await feed.start(subscribed(feed), None, 3)
    await until(lambda: feed.log.version == 5)
    feed.close()


async def test_client_that_resumes_gets_what_postgres_is_known_to_have() -> None:
    feed = a_feed(a_record(5), 3)
    client = subscribed(feed)
    await feed.start(client, 3, 5)
    await until(lambda: feed.log.version == 5)
    assert client.version == 3
    feed.close()


async def test_event_that_came_before_the_read_follows_it() -> None:
    feed = a_feed(a_record(3), gap_delay=NEVER)
    feed.offer(step(4))
    await feed.start(subscribed(feed), 1, 3)
    assert feed.log.version == 4
    feed.close()


async def test_version_that_postgres_does_not_have_is_looked_for_once() -> None:
    record = a_record(5)
    feed = a_feed(record, 3)
    for version in (4, 5):
        feed.offer(step(version))
    feed.catch_up_to(9)
    assert feed._repair is not None
    async with asyncio.timeout(10):
        await feed._repair
    assert record.reads == ["events", "snapshot"]
    frames, version = feed.log.after(3)
    assert frames.count(b"event: step\n") == 2 and version == 5
    feed.close()


async def test_event_that_came_early_follows_the_snapshot_in_place_of_deleted_events() -> None:
    record = a_record(6)
    record.events.clear()
    feed = a_feed(record, 3)
    feed.offer(step(7))
    await until(lambda: feed.log.version == 7)
    feed.close()


async def test_snapshot_of_an_ended_project_in_place_of_deleted_events_ends_the_stream() -> None:
    record = a_record(5)
    record.commit("end", status="active")
    record.events.clear()
    feed = a_feed(record, 3)
    client = subscribed(feed)
    client.start(3)
    feed.catch_up_to(6)
    async with asyncio.timeout(10):
        assert b"event: snapshot\n" in (await client.next() or b"")
        assert await client.next() is None
    feed.close()


async def test_late_event_has_a_moment_to_arrive_before_it_is_read() -> None:
    record = a_record(5)
    feed = a_feed(record, 3, gap_delay=NEVER)
    feed.offer(step(5))
    for _ in range(10):
        await asyncio.sleep(0)
    feed.offer(step(4))
    assert feed.log.version == 5
    assert not record.reads
    feed.close()


@pytest.mark.parametrize("error", [ConnectionRefusedError(), UndefinedTableError()])
async def test_read_that_fails_is_logged_and_tried_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Record):
        async def events_after(
            self, project_id: UUID, version: int, limit: int = 1000
        ) -> list[StoredEvent]:
            if self.reads.count("events") == 0:
                self.reads.append("events")
                raise error
            return await super().events_after(project_id, version, limit)

    record = Failing()
    for _ in range(5):
        record.commit()
    feed = a_feed(record, 3)
    feed.catch_up_to(5)
    await until(lambda: "Cannot read" in caplog.text)
    assert f"Cannot read the events of project {record.project_id} from" in caplog.text
    feed.catch_up_to(5)
    await until(lambda: feed.log.version == 5)
    feed.close()


async def test_closed_feed_reads_nothing_more() -> None:
    record = a_record(5)
    feed = a_feed(record, 3, gap_delay=NEVER)
    feed.catch_up_to(5)
    reading = feed._repair
    assert reading is not None
    feed.close()
    await asyncio.wait([reading], timeout=10)
    assert reading.cancelled() and not record.reads


async def test_closed_feed_waits_for_no_subscription() -> None:
    feed = a_feed(a_record(3), 3)
    feed.subscribed = subscribing = asyncio.create_task(asyncio.sleep(NEVER))
    feed.close()
    await asyncio.wait([subscribing], timeout=10)
    assert subscribing.cancelled()


async def test_project_that_is_gone_ends_its_streams() -> None:
    class Gone(Record):
        async def snapshot(self, project_id: UUID) -> Snapshot | None:
            return None

    feed = a_feed(Gone(), 3)
    client = subscribed(feed)
    client.start(3)
    feed.catch_up_to(5)
    async with asyncio.timeout(10):
        assert await client.next() is None
    feed.close()
