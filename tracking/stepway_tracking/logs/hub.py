"""Follows logs: all readers of one log share one subscription and one read of each row."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import TypeVar

import asyncpg

from stepway_tracking.logs.attempt_log import AttemptKey
from stepway_tracking.logs.store import Chunk, LogStore
from stepway_tracking.postgres import REFUSED, UNREACHABLE
from stepway_tracking.record.errors import LogStoreAway
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.publisher import logs_channel
from stepway_tracking.stream.subscriber import RedisSubscriber

logger = logging.getLogger(__name__)

POLL = 1.0
"""Seconds between two looks for new lines without a message from Redis."""

SHARED = 4 * 1024 * 1024
"""Characters of the newest rows that readers share; slower readers read for themselves."""

SHARED_ROWS = 512
"""Rows that readers share."""

QUIET = 2.0
"""Seconds without new lines after which an ended attempt without the end of its log has no more."""

T = TypeVar("T")

Outcome = Callable[[AttemptKey], Awaitable[str | None]]
"""The outcome of an attempt; None while it runs."""


class LogHub:
    """Lets the readers of one process follow logs.

    Without Redis, new lines are found by looking every POLL seconds.
    """

    def __init__(self, store: LogStore, outcome: Outcome, redis_url: str = "") -> None:
        self._store = store
        self.outcome = outcome
        self._feeds: dict[AttemptKey, _Feed] = {}
        self._channels: dict[str, set[_Feed]] = {}
        self._subscribing: dict[str, asyncio.Task[None]] = {}
        self._unsubscribing: set[asyncio.Task[None]] = set()
        self._subscriber: RedisSubscriber | None = None
        self._closed = False
        if redis_url:
            self._subscriber = RedisSubscriber(
                redis_url, HubOptions(), on_message=self._received, on_connected=self._wake_all
            )

    def start(self) -> None:
        """Connect to Redis in the background."""
        if self._subscriber is not None:
            self._subscriber.start()

    async def close(self) -> None:
        """End all readers, and at once those that come later. Safe to repeat."""
        self._closed = True
        for feed in tuple(self._feeds.values()):
            await feed.stop()
        await _end(*self._subscribing.values(), *self._unsubscribing)
        if self._subscriber is not None:
            await self._subscriber.close()

    @asynccontextmanager
    async def follow(self, key: AttemptKey, after: int) -> AsyncIterator[AsyncIterator[Chunk]]:
        """The rows with lines after number `after`, and those that come, until the log is complete
        or this hub is closed.

        While Postgres is unreachable, it waits.
        """
        feed = self._feeds.get(key)
        if feed is None or feed.stopped:
            feed = self._feeds[key] = _Feed(key, self._store, self.outcome, stopped=self._closed)
            if not self._closed:
                self._start(feed)
        feed.readers += 1
        try:
            yield feed.read(after)
        finally:
            feed.readers -= 1
            if not feed.readers:
                self._release(feed)

    # These two wait for nothing: a reader can be cancelled wherever it waits.

    def _start(self, feed: _Feed) -> None:
        name = logs_channel(feed.key.project_id)
        feeds = self._channels.setdefault(name, set())
        feeds.add(feed)
        if self._subscriber is not None and len(feeds) == 1:
            subscribing = asyncio.create_task(self._subscriber.subscribe(name))
            self._subscribing[name] = subscribing
        feed.start(self._subscribing.get(name))

    def _release(self, feed: _Feed) -> None:
        if self._feeds.get(feed.key) is feed:
            del self._feeds[feed.key]
        feed.cancel()
        name = logs_channel(feed.key.project_id)
        feeds = self._channels.get(name, set())
        feeds.discard(feed)
        if feeds:
            return
        self._channels.pop(name, None)
        if subscribing := self._subscribing.pop(name, None):
            subscribing.cancel()
        if self._subscriber is not None and not self._closed:
            task = asyncio.create_task(self._subscriber.unsubscribe(name))
            self._unsubscribing.add(task)
            task.add_done_callback(self._unsubscribing.discard)

    def _received(self, name: str, message: bytes) -> None:
        try:
            step = json.loads(message)["step"]
        except (ValueError, KeyError, TypeError):
            logger.warning("A message on %s is not about a log", name)
            return
        for feed in self._channels.get(name, ()):
            if feed.key.step == step:
                feed.wake()

    def _wake_all(self) -> None:
        for feed in self._feeds.values():
            feed.wake()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Stopped(Exception):
    """The feed was stopped."""


@dataclass(eq=False)
class _Feed:
    """Reads the new rows of one log, and keeps the newest for its readers."""

    key: AttemptKey
    store: LogStore
    outcome: Outcome
    readers: int = 0
    complete: bool = False
    stopped: bool = False
    _rows: deque[Chunk] = field(default_factory=deque)
    _size: int = 0
    _first: int | None = None
    """The number before the first line of the kept rows."""
    _last: int = 0
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _task: asyncio.Task[None] | None = None

    def start(self, subscribing: asyncio.Task[None] | None) -> None:
        self._task = asyncio.create_task(self._run(subscribing))

    def wake(self) -> None:
        self._woken.set()

    def cancel(self) -> None:
        self.stopped = True
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        self.cancel()
        if self._task is not None:
            await _end(self._task)
        await self._tell()

    async def read(self, after: int) -> AsyncIterator[Chunk]:
        while True:
            if self._first is None or after < self._first:
                # Older than what is shared.
                try:
                    rows = await self._patiently(partial(self.store.read, self.key, after))
                except _Stopped:
                    return
            else:
                rows = self._shared(after)
            for row in rows:
                yield row
                after = row.last_seq
            if rows:
                continue
            if self._first is not None and after < self._first:
                after = self._first  # Those lines are gone.
                continue
            async with self._news:
                if self.stopped or (self.complete and after >= self._last):
                    return
                if after >= self._last:
                    await self._news.wait()

    def _shared(self, after: int) -> list[Chunk]:
        newer = takewhile(lambda row: row.last_seq > after, reversed(self._rows))
        return list(newer)[::-1]

    async def _run(self, subscribing: asyncio.Task[None] | None) -> None:
        try:
            if subscribing is not None:
                # What is written meanwhile is read afterwards.
                await asyncio.wait([subscribing])
            await self._follow()
        except Exception:
            # Whatever it is: readers would wait for ever. They ask again.
            logger.exception("A log cannot be followed any longer")
            self.stopped = True
        await self._tell()

    async def _follow(self) -> None:
        self._last = self._first = await self._patiently(partial(self.store.last_seq, self.key))
        await self._tell()  # Of lines that came after a reader has looked.
        loop = asyncio.get_running_loop()
        changed = loop.time()
        while not self.complete:
            self._woken.clear()
            rows = await self._patiently(partial(self.store.read, self.key, self._last))
            if rows:
                changed = loop.time()
                await self._add(rows)
                if rows[-1].ends:
                    await self._until_ended()
                    self.complete = True
            elif loop.time() - changed >= QUIET and await self._has_ended():
                # Its worker was killed, or has not written its end yet.
                rest = await self._patiently(partial(self.store.read, self.key, self._last, 1))
                self.complete = not rest
            else:
                await self._wait()

    async def _until_ended(self) -> None:
        """Wait for the outcome: the end of a log may be written a moment before it."""
        pause = POLL / 32
        while not await self._has_ended():
            await asyncio.sleep(pause)
            pause = min(2 * pause, POLL)

    async def _has_ended(self) -> bool:
        return await self._patiently(partial(self.outcome, self.key)) is not None

    async def _patiently(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read; while Postgres is unreachable, try again every POLL seconds. Raises _Stopped."""
        while True:
            try:
                return await read()
            except (*UNREACHABLE, asyncpg.PostgresError, LogStoreAway) as error:
                if isinstance(error, REFUSED):
                    raise
                if self.stopped:
                    raise _Stopped from error
                logger.warning("A log cannot be read now: %r", error)
                await asyncio.sleep(POLL)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _add(self, rows: list[Chunk]) -> None:
        self._rows.extend(rows)
        self._size += sum(row.size for row in rows)
        self._last = rows[-1].last_seq
        while (self._size > SHARED or len(self._rows) > SHARED_ROWS) and len(self._rows) > 1:
            oldest = self._rows.popleft()
            self._size -= oldest.size
            self._first = oldest.last_seq
        await self._tell()
