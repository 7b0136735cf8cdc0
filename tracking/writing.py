"""Writing what an attempt says of itself until it is in, however long Postgres is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from tracking.changes import Changes, StepChange
from tracking.database import UNREACHABLE
from tracking.marks import StepMark
from tracking.reporter import ProgressReporter
from tracking.store import Outcome, Store

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between tries of a write while Postgres is out of reach."""

BEAT = 1.0
"""Seconds between heartbeats while a write is not in yet."""

LAST_PATIENCE = 5.0
"""Seconds that a write has left once its activity is cancelled."""


class AttemptWriter:
    """Writes one attempt's changes under its fence.

    `heartbeat` says to Temporal that the attempt lives; it is called on the event loop.
    """

    def __init__(
        self, store: Store, mark: StepMark, info: activity.Info, heartbeat: Callable[[], None]
    ) -> None:
        self._store = store
        self._mark = mark
        self._info = info
        self._heartbeat = heartbeat

    def fenced(self, action: str, **fields: Any) -> StepChange:
        """A change that is older than whatever was scheduled after this attempt."""
        info = self._info
        scheduled = info.current_attempt_scheduled_time
        change_id = (
            f"{info.workflow_run_id}/{info.activity_id}/{scheduled.timestamp()}/{info.attempt}"
            f"/{action}"
        )
        return StepChange(
            self._mark.step, action, fence=scheduled.isoformat(), change_id=change_id, **fields
        )

    def own(self, action: str, **fields: Any) -> StepChange:
        """A change that counts only while this attempt is the one that runs."""
        info = self._info
        return self.fenced(
            action,
            run_id=info.workflow_run_id,
            activity_id=info.activity_id,
            attempt=info.attempt,
            **fields,
        )

    async def write(self, change: StepChange, reporter: ProgressReporter | None = None) -> Outcome:
        """Write until it is in, heartbeating meanwhile; the reporter's last progress goes first.

        A cancel that comes meanwhile leaves it LAST_PATIENCE seconds; if it is in by then nothing
        is raised, since what was written is true. Raises ApplicationError, not to be retried, when
        a newer attempt owns the step or the step is gone.
        """
        writing = asyncio.create_task(self._write(change, reporter))
        try:
            await self._beat_until(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing], timeout=LAST_PATIENCE)
            if not writing.done():
                log.warning("Cancelled before Postgres took %s of %s", change.action, change.step)
                raise
        finally:
            writing.cancel()
        return self._accepted(writing.result())

    async def insist(self, *changes: StepChange) -> Outcome:
        """Write in one transaction, again and again until it is in; the last one's outcome."""
        pause = FIRST_PAUSE
        while True:
            try:
                return (await self._store.record(Changes(self._mark.project_id, [*changes])))[-1]
            except UNREACHABLE as error:
                last = changes[-1]
                log.warning("Postgres takes no %s of %s: %r", last.action, last.step, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _write(self, change: StepChange, reporter: ProgressReporter | None) -> Outcome:
        progress = await reporter.close() if reporter else None
        return await self.insist(*([progress, change] if progress else [change]))

    async def _beat_until(self, writing: asyncio.Task[Outcome]) -> None:
        while not (await asyncio.wait([writing], timeout=BEAT))[0]:
            # The cancel of a step in a thread reaches that thread only.
            if activity.is_cancelled():
                raise asyncio.CancelledError
            self._heartbeat()

    def _accepted(self, outcome: Outcome) -> Outcome:
        step = self._mark.step
        if outcome.said == "superseded":
            raise _stop("Superseded", f"A newer attempt has taken {step} over.")
        if outcome.said == "unknown":
            project = self._mark.project_id
            raise _stop("StepUnknown", f"The record has no step {step} of project {project}.")
        return outcome


def _stop(kind: str, message: str) -> ApplicationError:
    return ApplicationError(message, type=kind, non_retryable=True)
