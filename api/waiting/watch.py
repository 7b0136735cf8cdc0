"""Watches whether workers ask for the work of each queue, and marks the steps that wait for one.

A workflow cannot tell whether a worker exists, and without workers no code of theirs runs. So each
API process looks. A mark is written at most once for each time that a step waits; the start of an
attempt removes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from temporalio.client import Client
from temporalio.service import RPCError

from stepway.api.waiting.pollers import last_asked
from stepway.api.waiting.steps import (
    MarkedProject,
    OpenProject,
    Queue,
    WaitingStep,
    WaitingSteps,
)
from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.changes import Changes, StepChange
from stepway_tracking.record.store import Store

logger = logging.getLogger(__name__)

PAUSE = 10.0
"""Seconds between two sweeps."""

SILENCE = timedelta(seconds=75)
"""Time since its last request after which a worker is gone; Temporal keeps a request for 60 s."""

LATE = timedelta(seconds=30)
"""Time after which a worker should have taken a step."""

LIMIT = 30.0
"""Seconds that a sweep may take."""


class NoPublisher:
    """Publishes nothing: readers find these rare events by the check of their position."""

    async def publish(self, project_id: str, messages: list[str]) -> None:
        """Do nothing."""


class WorkerWatch:
    """Sweeps until it is closed."""

    def __init__(self, pool: asyncpg.Pool, temporal: Client, task_queue: str) -> None:
        self._steps = WaitingSteps(pool, task_queue)
        self._store = Store(pool, NoPublisher())
        self._temporal = temporal
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sweep."""
        self._running = asyncio.create_task(self._sweep_forever())

    async def close(self) -> None:
        """Stop; a sweep that is under way is cancelled."""
        if self._running:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            try:
                async with asyncio.timeout(LIMIT):
                    await self.sweep()
            # The client raises RuntimeError as long as it has not connected.
            except (*UNREACHABLE, RPCError, RuntimeError) as error:
                logger.debug("Cannot look for workers now: %r", error)
            except Exception:
                logger.exception("Cannot look for workers")

    async def sweep(self) -> None:
        """Mark the steps that no worker takes, and remove the marks of queues with workers.

        Raises RPCError and the errors of Postgres.
        """
        queues, marked = await self._steps.queues(), await self._steps.marked()
        queues |= {(each.task_queue, queue) for each in marked for queue in each.queues.values()}
        asked = {queue: await last_asked(self._temporal, *queue) for queue in queues}
        now = datetime.now(UTC)
        silent = {queue: at for queue, at in asked.items() if at is None or now - at > SILENCE}
        for each in marked:
            await self._unmark(each, silent)
        if silent:
            for project in await self._steps.open(silent):
                await self._mark(project, silent, now)

    async def _unmark(self, project: MarkedProject, silent: Collection[Queue]) -> None:
        changes = [
            _change(step, project.version, None)
            for step, queue in project.queues.items()
            if (project.task_queue, queue) not in silent
        ]
        await self._write(project.id, project.version, changes)

    async def _mark(
        self, project: OpenProject, silent: Mapping[Queue, datetime | None], now: datetime
    ) -> None:
        asked = {queue: at for (base, queue), at in silent.items() if base == project.task_queue}
        late = [each for each in project.waiting(asked) if now - each.since >= LATE]
        changes = [_marked(each, asked[each.queue], project.version) for each in late]
        await self._write(project.id, project.version, changes)

    async def _write(self, project: UUID, version: int, changes: list[StepChange]) -> None:
        """Write changes; they are refused if the project has changed since it was read."""
        if changes:
            outcomes = await self._store.record(Changes(str(project), changes))
            said = ", ".join(outcome.said for outcome in outcomes)
            logger.info("Project %s at %s: %s", project, version, said)


def _marked(waiting: WaitingStep, asked: datetime | None, version: int) -> StepChange:
    mark = {"queue": waiting.queue} if waiting.queue else {}
    mark["since"] = (asked or waiting.since).isoformat()
    return _change(waiting.step, version, {"waiting_for_worker": mark})


def _change(step: str, version: int, metadata: dict[str, object] | None) -> StepChange:
    return StepChange(step, "awaiting_worker", metadata=metadata, version=version)
