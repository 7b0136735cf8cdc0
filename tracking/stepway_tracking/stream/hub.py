"""Live subscriptions to projects: each receives every version once, in order.

Redis delivers events within milliseconds but may lose some; the position check finds those.
docs/explanation/architecture.md describes the whole design.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from stepway_tracking.record.errors import StepwayError
from stepway_tracking.stream.event_log import encode
from stepway_tracking.stream.feed import EventReader, Feed, HubCounts
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.position_check import PositionCheck, PositionLookup
from stepway_tracking.stream.publisher import channel
from stepway_tracking.stream.subscriber import RedisSubscriber
from stepway_tracking.stream.subscription import Subscription

logger = logging.getLogger(__name__)


class TooManyStreams(StepwayError):
    """The process has reached its limit of open streams, or is stopping."""


class RedisMessage(BaseModel):
    """A message on a project's channel."""

    version: int
    type: str
    data: dict[str, object]


class Hub:
    """Serves the event streams of one process. Without `redis_url` it reads from Postgres only."""

    def __init__(
        self, reader: EventReader, redis_url: str = "", options: HubOptions | None = None
    ) -> None:
        self.options = options or HubOptions()
        self.counts = HubCounts()
        self._reader = reader
        self._feeds: dict[UUID, Feed] = {}
        self._subscriptions: dict[Subscription, Feed] = {}
        self._lookup = PositionLookup(reader)
        self._check = PositionCheck(
            reader, self.options, self.counts, feeds=self._feeds.values, retire=self._retire
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._subscriber: RedisSubscriber | None = None
        if redis_url:
            self._subscriber = RedisSubscriber(
                redis_url, self.options, on_message=self.receive, on_connected=self._reconnected
            )

    @property
    def streams(self) -> int:
        """Number of open streams."""
        return len(self._subscriptions)

    @property
    def events_sent(self) -> int:
        """Number of events sent, over all clients."""
        return self.counts.events_sent + sum(each.sent for each in self._subscriptions)

    @property
    def projects(self) -> int:
        """Number of watched projects."""
        return len(self._feeds)

    @property
    def redis_connected(self) -> bool:
        """Whether Redis delivers events; otherwise only the position check finds them."""
        return self._subscriber is not None and self._subscriber.connected

    async def start(self) -> None:
        """Start the Redis subscription and the periodic checks."""
        if self._subscriber is not None:
            self._subscriber.start()
        if self.options.position_check:
            self._spawn(self._check.run())
        self._spawn(self._sweep_forever())

    async def close(self) -> None:
        """End all streams and stop the background tasks. Safe to repeat."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.finish()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._subscriber is not None:
            await self._subscriber.close()

    async def connect(self, project_id: UUID, last: int | None = None) -> Subscription | None:
        """Subscribe to a project's events after version `last`, else from a snapshot.

        Returns None if the initialization has ended at version `last`. Release the subscription
        with `leave`. Raises ProjectUnknown, TooManyStreams, and the driver's error if Postgres is
        unreachable.
        """
        async with asyncio.timeout(self.options.read_timeout):
            position = await self._lookup.of(project_id)
            if position.ended and last == position.version:
                return None
            if last is not None and last > max(position.version, self._newest_version(project_id)):
                last = None
            subscription, feed = self._register(project_id)
            try:
                await self._start_subscription(subscription, feed, last, position.version)
            except BaseException:
                self.leave(subscription)
                raise
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Release a subscription; the last one of a project closes its feed."""
        feed = self._subscriptions.pop(subscription, None)
        if feed is None:
            return
        self.counts.streams_too_slow += subscription.too_slow
        self.counts.events_sent += subscription.sent
        feed.subscriptions.discard(subscription)
        if not feed.subscriptions:
            self._close_feed(feed)

    def receive(self, channel_name: str, message: bytes) -> None:
        """Handle a message from Redis. An invalid one is logged and ignored."""
        try:
            received = RedisMessage.model_validate_json(message)
            feed = self._feeds.get(UUID(channel_name.rpartition(":")[2]))
        except (ValidationError, ValueError):
            logger.warning("A message on %s is not an event", channel_name)
            return
        self.counts.events_received += 1
        if feed is not None:
            feed.offer(encode(received.version, received.type, to_json(received.data)))

    def _newest_version(self, project_id: UUID) -> int:
        """The newest version in the project's log; a shared position lookup may be older."""
        feed = self._feeds.get(project_id)
        return feed.log.version if feed and feed.log.started else 0

    def _register(self, project_id: UUID) -> tuple[Subscription, Feed]:
        if self._closed or self.streams >= self.options.max_streams:
            self.counts.streams_refused += 1
            raise TooManyStreams(
                "This server has reached its limit of open streams; try again later."
            )
        feed = self._feeds.get(project_id)
        if feed is None:
            feed = self._feeds[project_id] = Feed(
                project_id, self._reader, self.options, self.counts
            )
        now = asyncio.get_running_loop().time()
        expires_at = now + self._with_jitter(self.options.rotate_after)
        subscription = Subscription(feed.log, now=now, expires_at=expires_at)
        feed.subscriptions.add(subscription)
        self._subscriptions[subscription] = feed
        self.counts.streams_opened += 1
        return subscription, feed

    async def _start_subscription(
        self, subscription: Subscription, feed: Feed, last: int | None, known: int
    ) -> None:
        if self.options.subscribe_before_read:
            await self._wait_for_subscription(feed)
            await feed.start(subscription, last, known)
            return
        # The wrong order, for the test that shows which events it loses.
        await feed.start(subscription, last, known)
        await self._wait_for_subscription(feed)
        subscription.version = (await self._lookup.of(feed.project_id)).version

    async def _wait_for_subscription(self, feed: Feed) -> None:
        """Wait until Redis has confirmed the project's subscription; all its clients share it."""
        if self._subscriber is None:
            return
        if feed.subscribed is None:
            subscribing = self._subscriber.subscribe(channel(feed.project_id))
            feed.subscribed = asyncio.create_task(subscribing)
        await asyncio.shield(feed.subscribed)

    def _retire(self, feed: Feed) -> None:
        """Close a stale feed; the next client opens a new one."""
        if self._feeds.get(feed.project_id) is feed:
            del self._feeds[feed.project_id]
        feed.finish()

    def _close_feed(self, feed: Feed) -> None:
        feed.close()
        if self._feeds.get(feed.project_id) is feed:
            del self._feeds[feed.project_id]
        if self._subscriber is not None and not self._closed and feed.project_id not in self._feeds:
            self._spawn(self._subscriber.unsubscribe(channel(feed.project_id)))

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(self._with_jitter(self.options.sweep_interval))
            self._sweep()

    def _sweep(self) -> None:
        """Send keep-alives to idle streams, end expired ones, abort those with a stuck write."""
        now = asyncio.get_running_loop().time()
        quiet = self.options.keepalive - 2 * self.options.sweep_interval
        for subscription in tuple(self._subscriptions):
            busy_since = subscription.busy_since
            if busy_since is not None and now - busy_since > self.options.write_timeout:
                subscription.abandon()
            elif now >= subscription.expires_at:
                subscription.finish()
            elif busy_since is None and now - subscription.last_write >= quiet:
                subscription.keep_alive()

    def _reconnected(self) -> None:
        self.counts.redis_connections += 1
        self._check.check_now()

    def _with_jitter(self, seconds: float) -> float:
        return seconds * random.uniform(1 - self.options.jitter, 1)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
