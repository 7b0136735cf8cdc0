"""Writes the changes of one attempt, for as long as Postgres is unreachable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway_tracking.postgres import REFUSED, UNREACHABLE
from stepway_tracking.record.changes import Changes, StepChange
from stepway_tracking.record.facts import StepAction
from stepway_tracking.record.store import Outcome, Store
from stepway_tracking.worker.progress_reporter import ProgressReporter
from stepway_tracking.workflow.marks import OUTAGE_LIMIT, StepMark

log = logging.getLogger(__name__)

FIRST_RETRY_DELAY, LONGEST_RETRY_DELAY = 0.2, 2.0
"""Seconds between attempts to write while Postgres is unreachable."""

HEARTBEAT_SECONDS = 1.0
"""Seconds between heartbeats during a write."""

CANCEL_GRACE = 5.0
"""Seconds that a write may take after its activity is cancelled."""


UNACCEPTABLE = (*REFUSED, RecursionError, ValueError)
"""Errors after which the same change without what the step said may succeed."""


class AttemptWriter:
    """Writes the changes of one attempt.

    `heartbeat` sends a heartbeat to Temporal; it is called on the event loop. `is_cancelled` says
    whether the attempt has been cancelled from outside.
    """

    def __init__(
        self,
        store: Store,
        mark: StepMark,
        info: activity.Info,
        heartbeat: Callable[[], None],
        is_cancelled: Callable[[], bool] = activity.is_cancelled,
    ) -> None:
        self._store = store
        self._mark = mark
        self._info = info
        self._heartbeat = heartbeat
        self._is_cancelled = is_cancelled

    def fenced_change(self, action: StepAction, **fields: Any) -> StepChange:
        """A change that is rejected once a later attempt has written to the step."""
        info = self._info
        scheduled = info.current_attempt_scheduled_time
        change_id = (
            f"{info.workflow_run_id}/{info.activity_id}/{scheduled.timestamp()}/{info.attempt}"
            f"/{action}"
        )
        return StepChange(
            self._mark.step, action, fence=scheduled.isoformat(), change_id=change_id, **fields
        )

    def attempt_change(self, action: StepAction, **fields: Any) -> StepChange:
        """A change that is rejected unless this attempt is the running one."""
        info = self._info
        return self.fenced_change(
            action,
            run_id=info.workflow_run_id,
            activity_id=info.activity_id,
            attempt=info.attempt,
            **fields,
        )

    async def write(self, change: StepChange, reporter: ProgressReporter | None = None) -> Outcome:
        """Write the reporter's last progress and the change, sending heartbeats meanwhile.

        After a cancellation the write may take CANCEL_GRACE seconds more. If it succeeds in that
        time, nothing is raised; otherwise asyncio.CancelledError is. Raises a non-retryable
        ApplicationError if a newer attempt owns the step, the step does not exist, or Postgres was
        unreachable for OUTAGE_LIMIT.
        """
        writing = asyncio.create_task(self._write(change, reporter))
        try:
            await self._heartbeat_until_done(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing], timeout=CANCEL_GRACE)
            if not writing.done():
                log.warning(
                    "Cancelled before Postgres recorded %s of %s", change.action, change.step
                )
                raise
        finally:
            writing.cancel()
        return self._checked(writing.result())

    async def write_until_accepted(self, *changes: StepChange) -> Outcome:
        """Write in one transaction, retrying while Postgres is unreachable; the last outcome."""
        pause = FIRST_RETRY_DELAY
        loop = asyncio.get_running_loop()
        gives_up_at = loop.time() + OUTAGE_LIMIT.total_seconds()
        while True:
            try:
                return (await self._store.record(Changes(self._mark.project_id, [*changes])))[-1]
            except REFUSED:
                raise
            # Any other error, such as a missing function, ends when the database is repaired.
            except (*UNREACHABLE, asyncpg.PostgresError) as error:
                last = changes[-1]
                log.warning("Postgres cannot record %s of %s: %r", last.action, last.step, error)
            if loop.time() > gives_up_at:
                raise _final_error(
                    "NotRecorded",
                    f"The step could not be recorded: Postgres was unreachable for {OUTAGE_LIMIT}.",
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_RETRY_DELAY)

    async def _write(self, change: StepChange, reporter: ProgressReporter | None) -> Outcome:
        progress = await reporter.close() if reporter else None
        # What a step says never decides what becomes of it.
        versions = [[progress, change]] if progress else []
        versions += [[change]] + ([[_bare(change)]] if change.metadata else [])
        for changes in versions[:-1]:
            try:
                return await self.write_until_accepted(*changes)
            except UNACCEPTABLE as error:
                log.warning("Postgres refused what %s has reported: %r", change.step, error)
        return await self.write_until_accepted(*versions[-1])

    async def _heartbeat_until_done(self, writing: asyncio.Task[Outcome]) -> None:
        while not (await asyncio.wait([writing], timeout=HEARTBEAT_SECONDS))[0]:
            # If the step runs in a thread, the cancellation is raised in that thread only.
            if self._is_cancelled():
                raise asyncio.CancelledError
            self._heartbeat()

    def _checked(self, outcome: Outcome) -> Outcome:
        step = self._mark.step
        if outcome.said == "superseded":
            raise _final_error("Superseded", f"A newer attempt of {step} has superseded this one.")
        if outcome.said == "unknown":
            project = self._mark.project_id
            raise _final_error(
                "StepUnknown", f"The record has no step {step} of project {project}."
            )
        return outcome


def _bare(change: StepChange) -> StepChange:
    return replace(change, metadata=None)


def _final_error(kind: str, message: str) -> ApplicationError:
    return ApplicationError(message, type=kind, non_retryable=True)
