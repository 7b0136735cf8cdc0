"""Everyone who watches, and what they watch: every version once, in order, whatever breaks.

Redis brings each event within milliseconds and may lose any of them; the position check finds
what it lost. docs/explanation/architecture.md tells the whole of it.
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
from stepway_tracking.stream.subscriber import Nudges
from stepway_tracking.stream.subscription import Subscription

logger = logging.getLogger(__name__)


class TooManyStreams(StepwayError):
    """This process serves as many streams as it may, or is about to stop."""


class Nudge(BaseModel):
    """A message on a project's channel."""

    version: int
    type: str
    data: dict[str, object]


class Hub:
    """Watches projects for the clients of one process; without `redis_url` by Postgres alone."""

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
        self._nudges: Nudges | None = None
        if redis_url:
            self._nudges = Nudges(
                redis_url, self.options, on_message=self.receive, on_connected=self._reconnected
            )

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._subscriptions)

    @property
    def events_sent(self) -> int:
        """How many events went out, to all clients together."""
        return self.counts.events_sent + sum(each.sent for each in self._subscriptions)

    @property
    def projects(self) -> int:
        """How many projects are watched."""
        return len(self._feeds)

    @property
    def redis_connected(self) -> bool:
        """Whether nudges arrive; without them events come with the position check."""
        return self._nudges is not None and self._nudges.connected

    async def start(self) -> None:
        """Begin to listen and to check."""
        if self._nudges is not None:
            self._nudges.start()
        if self.options.position_check:
            self._spawn(self._check.run())
        self._spawn(self._sweep_again_and_again())

    async def close(self) -> None:
        """End every stream at once and stop; safe to repeat."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.finish()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._nudges is not None:
            await self._nudges.close()

    async def connect(self, project_id: UUID, last: int | None = None) -> Subscription | None:
        """A place in the project's events after version `last`, else behind a snapshot.

        None when the initialization has ended and `last` is its end. Leave it with `leave`.
        Raises ProjectUnknown, TooManyStreams, and what the driver raises without Postgres.
        """
        async with asyncio.timeout(self.options.read_timeout):
            position = await self._lookup.of(project_id)
            if position.ended and last == position.version:
                return None
            if last is not None and last > max(position.version, self._told(project_id)):
                last = None
            subscription, feed = self._enter(project_id)
            try:
                await self._place(subscription, feed, last, position.version)
            except BaseException:
                self.leave(subscription)
                raise
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Give the place up; whoever leaves a project last ends its subscription."""
        feed = self._subscriptions.pop(subscription, None)
        if feed is None:
            return
        self.counts.streams_too_slow += subscription.too_slow
        self.counts.events_sent += subscription.sent
        feed.subscriptions.discard(subscription)
        if not feed.subscriptions:
            self._forget(feed)

    def receive(self, channel_name: str, message: bytes) -> None:
        """Take a nudge from Redis; what makes no sense is left to the position check."""
        try:
            nudge = Nudge.model_validate_json(message)
            feed = self._feeds.get(UUID(channel_name.rpartition(":")[2]))
        except (ValidationError, ValueError):
            logger.warning("A message on %s is not an event", channel_name)
            return
        self.counts.events_received += 1
        if feed is not None:
            feed.offer(encode(nudge.version, nudge.type, to_json(nudge.data)))

    def _told(self, project_id: UUID) -> int:
        """The newest version told here, which a lookup that others shared may not know yet."""
        feed = self._feeds.get(project_id)
        return feed.log.version if feed and feed.log.started else 0

    def _enter(self, project_id: UUID) -> tuple[Subscription, Feed]:
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
        expires_at = now + self._varied(self.options.rotate_after)
        subscription = Subscription(feed.log, now=now, expires_at=expires_at)
        feed.subscriptions.add(subscription)
        self._subscriptions[subscription] = feed
        self.counts.streams_opened += 1
        return subscription, feed

    async def _place(
        self, subscription: Subscription, feed: Feed, last: int | None, known: int
    ) -> None:
        if self.options.subscribe_before_read:
            await self._subscribed(feed)
            await feed.place(subscription, last, known)
            return
        # Only for the test that shows what the right order guards against: live from here.
        await feed.place(subscription, last, known)
        await self._subscribed(feed)
        subscription.version = (await self._lookup.of(feed.project_id)).version

    async def _subscribed(self, feed: Feed) -> None:
        """Wait until Redis has confirmed the subscription that all clients of a project share."""
        if self._nudges is None:
            return
        if feed.subscribed is None:
            subscribing = self._nudges.subscribe(channel(feed.project_id))
            feed.subscribed = asyncio.create_task(subscribing)
        await asyncio.shield(feed.subscribed)

    def _retire(self, feed: Feed) -> None:
        """End a feed that no longer tells the truth; who comes next gets another."""
        if self._feeds.get(feed.project_id) is feed:
            del self._feeds[feed.project_id]
        feed.finish()

    def _forget(self, feed: Feed) -> None:
        feed.close()
        if self._feeds.get(feed.project_id) is feed:
            del self._feeds[feed.project_id]
        if self._nudges is not None and not self._closed and feed.project_id not in self._feeds:
            self._spawn(self._nudges.unsubscribe(channel(feed.project_id)))

    async def _sweep_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._varied(self.options.sweep_interval))
            self._sweep()

    def _sweep(self) -> None:
        """Comments for the quiet, an end for the stuck and for those who have been here long."""
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
        self._check.soon()

    def _varied(self, seconds: float) -> float:
        return seconds * random.uniform(1 - self.options.jitter, 1)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
