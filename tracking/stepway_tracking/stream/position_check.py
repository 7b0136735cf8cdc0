"""Looks up the newest versions of projects in Postgres, on request and periodically."""

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
    """Looks up a project's position; concurrent callers share one query."""

    def __init__(self, reader: EventReader) -> None:
        self._reader = reader
        self._running: dict[UUID, asyncio.Task[Position | None]] = {}

    async def of(self, project_id: UUID) -> Position:
        """The project's position. Raises ProjectUnknown, or the driver's error."""
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
    """Compares all watched projects with Postgres, in one query, every few seconds.

    It finds a lost last event, which leaves no gap. `retire` is called with each feed whose project
    was deleted or whose version is higher than in Postgres.
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
        self._requested = asyncio.Event()

    def check_now(self) -> None:
        """Run the next check immediately, because events may have been lost."""
        self._requested.set()

    async def run(self) -> None:
        """Check until cancelled; an unreachable Postgres is logged."""
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
                await self._requested.wait()
        self._requested.clear()

    async def _check(self) -> None:
        # Versions from before the query: events may arrive while it runs.
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
                feed.compare(position)
