"""The event log of one watched project, filled from Redis; Postgres fills its gaps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from asyncpg.exceptions import PostgresError

from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.queries.reader import Position, Snapshot, StoredEvent
from stepway_tracking.record.errors import ProjectUnknown
from stepway_tracking.stream.event_log import Event, EventLog, encode
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.subscription import Subscription

logger = logging.getLogger(__name__)


class EventReader(Protocol):
    """The methods of `stepway_tracking.queries.reader.Reader` that the stream uses."""

    async def snapshot(self, project_id: UUID) -> Snapshot | None: ...

    async def events_after(
        self, project_id: UUID, version: int, limit: int = ...
    ) -> list[StoredEvent]: ...

    async def positions(self, project_ids: Iterable[UUID]) -> dict[UUID, Position]: ...


@dataclass
class HubCounts:
    """Counters of the hub since its start."""

    streams_opened: int = 0
    streams_refused: int = 0
    streams_too_slow: int = 0
    events_received: int = 0
    events_sent: int = 0
    gaps_repaired: int = 0
    snapshots_read: int = 0
    position_checks: int = 0
    redis_connections: int = 0


class Feed:
    """The event log of one project and its subscriptions.

    Redis may deliver an event twice, late, out of order or never; the log has each version once, in
    order.
    """

    def __init__(
        self, project_id: UUID, reader: EventReader, options: HubOptions, counts: HubCounts
    ) -> None:
        self.project_id = project_id
        self.log = EventLog(options.queue_size, options.queue_bytes)
        self.subscriptions: set[Subscription] = set()
        self.subscribed: asyncio.Task[None] | None = None
        self._reader = reader
        self._options = options
        self._counts = counts
        self._early: dict[int, Event] = {}
        self._known_version = 0
        self._backfilled = False
        self._snapshot: tuple[float, Snapshot, bytes] | None = None
        self._read_lock = asyncio.Lock()
        self._repair: asyncio.Task[None] | None = None

    def offer(self, event: Event) -> None:
        """Add an event that Redis delivered."""
        if event.version <= self.log.version or len(self._early) >= self._options.queue_size:
            self.catch_up_to(event.version)
            return
        self._early[event.version] = event
        self._append_ready()
        if self.log.started and self._early:
            self.catch_up_to(event.version)

    def catch_up_to(self, version: int) -> None:
        """Schedule a read of the events up to this version, unless Redis delivers them first."""
        self._known_version = max(self._known_version, version)
        if self.log.version < self._known_version and (self._repair is None or self._repair.done()):
            self._repair = asyncio.create_task(self._read_missing())

    def compare(self, position: Position) -> None:
        """Compare the log with the position in Postgres, and read missing events."""
        if position.version > self.log.version:
            self.catch_up_to(position.version)
        elif position.version == self.log.version and position.ended != self.log.ended:
            self.log.ended = position.ended
            self._wake()

    async def start(self, subscription: Subscription, last: int | None, known: int) -> None:
        """Start a subscription after version `last`, or with a snapshot if that is not possible.

        `known` is a version that Postgres is known to have. Raises ProjectUnknown.
        """
        async with self._read_lock:
            if last is not None and not self.log.can_resume_from(last) and not self._backfilled:
                await self._backfill(known)
            if last is not None and self.log.can_resume_from(last):
                subscription.start(last)
            else:
                snapshot, frame = await self._recent_snapshot()
                subscription.start(snapshot.version, frame)
                known = max(known, snapshot.version)
        self.catch_up_to(known)

    def finish(self) -> None:
        """End every stream of this project."""
        for subscription in tuple(self.subscriptions):
            subscription.finish()

    def close(self) -> None:
        """Cancel the background tasks of this feed."""
        for task in (self._repair, self.subscribed):
            if task is not None:
                task.cancel()

    def _wake(self) -> None:
        for subscription in self.subscriptions:
            subscription.wake()

    def _append_ready(self) -> None:
        """Move early events into the log, up to the first missing version."""
        if not self.log.started:
            return
        before = self.log.version
        while (event := self._early.pop(self.log.version + 1, None)) is not None:
            self.log.append(event)
        if self._early and min(self._early) <= self.log.version:
            self._early = {v: e for v, e in self._early.items() if v > self.log.version}
        if self.log.version > before:
            self._wake()

    async def _backfill(self, known: int) -> None:
        """Read the newest events from Postgres, once for all clients that resume."""
        size = self._options.queue_size
        self._backfilled = True
        try:
            stored = await self._events_after(max(known - size, 0), 2 * size)
        except BaseException:
            self._backfilled = False
            raise
        self.log.prepend(stored)
        self._append_ready()

    async def _recent_snapshot(self) -> tuple[Snapshot, bytes]:
        now = asyncio.get_running_loop().time()
        if self._snapshot is not None:
            read_at, snapshot, frame = self._snapshot
            if now - read_at < self._options.snapshot_age and self.log.can_resume_from(
                snapshot.version
            ):
                return snapshot, frame
        return await self._read_snapshot()

    async def _read_snapshot(self) -> tuple[Snapshot, bytes]:
        read_at = asyncio.get_running_loop().time()
        async with asyncio.timeout(self._options.read_timeout):
            fresh = await self._reader.snapshot(self.project_id)
        if fresh is None:
            raise ProjectUnknown(f"Project {self.project_id} not found.")
        self._counts.snapshots_read += 1
        event = encode(fresh.version, "snapshot", fresh.body)
        self._snapshot = read_at, fresh, event.frame
        if not self.log.started:
            self.log.start(fresh.version, ended=fresh.ended)
            self._append_ready()
        return fresh, event.frame

    async def _read_missing(self) -> None:
        await asyncio.sleep(self._options.gap_delay)
        try:
            while self.log.started and self.log.version < self._known_version:
                async with self._read_lock:
                    await self._read_next()
        except ProjectUnknown:
            self.finish()
        except (*UNREACHABLE, PostgresError) as error:
            logger.warning(
                "Cannot read the events of project %s from Postgres: %r", self.project_id, error
            )

    async def _read_next(self) -> None:
        """Read the next events from Postgres, or a snapshot if they were deleted."""
        before = self.log.version
        for event in await self._events_after(before, self._options.queue_size):
            if event.version > self.log.version:
                self._early[event.version] = event
        self._append_ready()
        if self.log.version == before:
            await self._skip_to_snapshot()
        self._counts.gaps_repaired += 1

    async def _skip_to_snapshot(self) -> None:
        snapshot, frame = await self._read_snapshot()
        self._known_version = snapshot.version
        if snapshot.version > self.log.version:
            self.log.append(Event(snapshot.version, "snapshot", frame))
            self.log.ended = snapshot.ended
            self._append_ready()
            self._wake()

    async def _events_after(self, version: int, limit: int) -> list[Event]:
        async with asyncio.timeout(self._options.read_timeout):
            stored = await self._reader.events_after(self.project_id, version, limit)
        return [encode(event.version, event.type, event.data) for event in stored]
