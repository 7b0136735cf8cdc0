"""Where projects stand in Postgres: asked once for all who ask together, and checked for ever."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from uuid import UUID

from asyncpg.exceptions import PostgresError

from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.queries.reader import Position
from stepway_tracking.record.errors import ProjectUnknown
from stepway_tracking.stream.feed import EventReader, Feed, HubCounts
from stepway_tracking.stream.options import HubOptions

logger = logging.getLogger(__name__)


class PositionLookup:
    """Looks a project's position up; those who ask at the same moment share the answer."""

    def __init__(self, reader: EventReader) -> None:
        self._reader = reader
        self._running: dict[UUID, asyncio.Task[Position | None]] = {}

    async def of(self, project_id: UUID) -> Position:
        """The position now. Raises ProjectUnknown, and what the driver raises without Postgres."""
        lookup = self._running.get(project_id)
        if lookup is None:
            lookup = self._running[project_id] = asyncio.create_task(self._read(project_id))
            lookup.add_done_callback(lambda _: self._running.pop(project_id))
        position = await asyncio.shield(lookup)
        if position is None:
            raise ProjectUnknown(f"Project {project_id} not found.")
        return position

    async def _read(self, project_id: UUID) -> Position | None:
        return (await self._reader.positions([project_id])).get(project_id)


class PositionCheck:
    """Compares every watched project with Postgres, in one query, every few seconds.

    This finds a lost last event, which no gap would show. `retire` is called with a feed whose
    project is gone, or whose newest versions Postgres has lost.
    """

    def __init__(
        self,
        reader: EventReader,
        options: HubOptions,
        counts: HubCounts,
        *,
        feeds: Callable[[], Iterable[Feed]],
        retire: Callable[[Feed], None],
    ) -> None:
        self._reader = reader
        self._options = options
        self._counts = counts
        self._feeds = feeds
        self._retire = retire
        self._wanted = asyncio.Event()

    def soon(self) -> None:
        """Check at once, because something may have been missed."""
        self._wanted.set()

    async def run(self) -> None:
        """Check until cancelled, whether Postgres answers or not."""
        while True:
            await self._pause()
            try:
                await self._check()
            except (*UNREACHABLE, PostgresError) as error:
                logger.warning("Postgres did not answer the position check: %r", error)

    async def _pause(self) -> None:
        interval = self._options.check_interval * random.uniform(1 - self._options.jitter, 1)
        with suppress(TimeoutError):
            async with asyncio.timeout(interval):
                await self._wanted.wait()
        self._wanted.clear()

    async def _check(self) -> None:
        # Our version from before the question: events may arrive while it is asked.
        seen = {feed: feed.log.version for feed in self._feeds() if not feed.log.ended}
        if not seen:
            return
        self._counts.position_checks += 1
        async with asyncio.timeout(self._options.read_timeout):
            positions = await self._reader.positions([feed.project_id for feed in seen])
        for feed, version in seen.items():
            position = positions.get(feed.project_id)
            if position is None or position.version < version:
                self._retire(feed)
            else:
                feed.agree(position)
