"""One attempt at a step, recorded around its run."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import logging
import os
import platform
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.exceptions import CancelledError as ActivityCancelled

from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.changes import Changes, StepChange
from stepway_tracking.record.facts import AttemptOutcome, StepAction
from stepway_tracking.record.progress import Skipped
from stepway_tracking.record.store import Outcome, Store
from stepway_tracking.worker.failures import (
    clean,
    error_text,
    pause_before_retry,
    remedy_of,
    stack_of,
)
from stepway_tracking.worker.progress_reporter import ProgressReporter
from stepway_tracking.workflow.marks import StepMark

log = logging.getLogger(__name__)

WORKER = f"{os.getpid()}@{platform.node()}"
"""Who runs an attempt, as Temporal's UI names it too: process and host."""


class TrackedAttempt:
    """Runs a step once, writing its start, its progress and how it ended.

    `heartbeat` repeats the attempt's last heartbeat, while Postgres is out of reach.
    """

    def __init__(
        self,
        store: Store,
        converter: DataConverter,
        mark: StepMark,
        info: activity.Info,
        heartbeat: Callable[[], None],
    ) -> None:
        self._store = store
        self._converter = converter
        self._mark = mark
        self._info = info
        self._writer = AttemptWriter(store, mark, info, heartbeat)

    async def run(
        self,
        execute: Callable[[], Awaitable[Any]],
        attach: Callable[[ProgressReporter], None],
    ) -> Any:
        """Execute the step, or give back what this very activity returned before.

        Raises what the step raises; an ApplicationError when a newer attempt owns the step.
        """
        start = await self._writer.write(self._writer.own("started", worker=WORKER))
        if start.said == "kept":
            return await self._decode(start.result or "")
        reporter = self._reporter()
        attach(reporter)
        try:
            # A cancel that came while the start was written.
            if activity.is_cancelled():
                raise asyncio.CancelledError
            with self._timed():
                result = await execute()
                kept = await self._encode(result)
        except BaseException as error:
            await self._stopped(error, reporter)
            raise
        await self._finished(result, kept, reporter)
        return result

    def _reporter(self) -> ProgressReporter:
        progressed = dataclasses.replace(self._writer.own("progressed"), change_id=None)
        return ProgressReporter(
            lambda change: self._store.update_step_status(self._mark.project_id, change), progressed
        )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Mark the attempt as slow if it still runs after what is usual."""
        if self._mark.slow_after is None:
            yield
            return
        timer = asyncio.create_task(self._mark_slow(self._mark.slow_after / 1000))
        try:
            yield
        finally:
            timer.cancel()

    async def _mark_slow(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._writer.insist(self._writer.own("slow", metadata={"slow": True}))

    async def _finished(self, result: Any, kept: str, reporter: ProgressReporter) -> None:
        if isinstance(result, Skipped):
            metadata = {"reason": clean(result.skipped)}
            change = self._writer.own("skipped", result=kept, metadata=metadata)
        else:
            metadata = as_metadata(result, self._converter)
            change = self._writer.own("completed", result=kept, metadata=metadata)
        await self._writer.write(change, reporter)

    async def _stopped(self, error: BaseException, reporter: ProgressReporter) -> None:
        if isinstance(error, activity._CompleteAsyncError):
            # Somebody else will complete it; the workflow sees that and records it.
            await reporter.close()
        elif activity.is_cancelled() and isinstance(
            error, (asyncio.CancelledError, ActivityCancelled)
        ):
            await self._interrupted(reporter)
        else:
            await self._failed(error, reporter)

    async def _failed(self, error: BaseException, reporter: ProgressReporter) -> None:
        text = clean(error_text(error))
        stack = clean(stack_of(error))
        remedy = remedy_of(error)
        metadata = {"remedy": clean(remedy)} if remedy else {}
        details = activity.cancellation_details()
        cancelled = details is not None and details.cancel_requested
        pause = None if cancelled else pause_before_retry(error, self._info)
        action: StepAction = "failed" if pause is None else "attempt_failed"
        if pause is not None:
            next_attempt_at = (datetime.now(UTC) + pause).isoformat()
            metadata |= {"last_error": text, "next_attempt_at": next_attempt_at}
        change = self._writer.own(action, error=text, error_stack=stack, metadata=metadata)
        await self._writer.write(change, reporter)

    async def _interrupted(self, reporter: ProgressReporter) -> None:
        outcome = interruption(activity.cancellation_details())
        if outcome == "paused":
            change = self._writer.own("paused", outcome=outcome, metadata={"paused": True})
        else:
            change = self._writer.own("interrupted", outcome=outcome)
        try:
            await self._writer.write(change, reporter)
        except ApplicationError as superseded:
            log.info("%s", superseded)

    async def _encode(self, result: Any) -> str:
        payloads = await self._converter.encode([result])
        return base64.b64encode(payloads[0].SerializeToString()).decode()

    async def _decode(self, kept: str) -> Any:
        payload = Payload.FromString(base64.b64decode(kept))
        return (await self._converter.decode([payload]))[0]


OUTCOMES: dict[str, AttemptOutcome] = {
    "cancel_requested": "cancelled",
    "not_found": "lost",
    "paused": "paused",
    "reset": "reset",
    "timed_out": "timed_out",
    "worker_shutdown": "interrupted",
}
"""The outcome of an attempt that was stopped, by the reason that the SDK gives."""


def interruption(details: activity.ActivityCancellationDetails | None) -> AttemptOutcome:
    """The outcome of an attempt that was stopped: one of OUTCOMES."""
    said = dataclasses.asdict(details) if details else {}
    reason = next((name for name, is_so in said.items() if is_so), "worker_shutdown")
    return OUTCOMES[reason]


def as_metadata(result: Any, converter: DataConverter) -> dict[str, Any]:
    """What a step returned, as its row's metadata shows it: as JSON, if that is an object."""
    payload = converter.payload_converter.to_payload(result)
    if not payload.metadata["encoding"].startswith(b"json/"):
        return {}
    made = json.loads(payload.data)
    return made if isinstance(made, dict) else {}


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

    def fenced(self, action: StepAction, **fields: Any) -> StepChange:
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

    def own(self, action: StepAction, **fields: Any) -> StepChange:
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
                log.warning(
                    "Cancelled before Postgres recorded %s of %s", change.action, change.step
                )
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
                log.warning("Postgres cannot record %s of %s: %r", last.action, last.step, error)
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
            raise _stop("Superseded", f"A newer attempt of {step} has superseded this one.")
        if outcome.said == "unknown":
            project = self._mark.project_id
            raise _stop("StepUnknown", f"The record has no step {step} of project {project}.")
        return outcome


def _stop(kind: str, message: str) -> ApplicationError:
    return ApplicationError(message, type=kind, non_retryable=True)


class TrackedUndo:
    """Runs an undo activity; the workflow records one that no interceptor saw fail."""

    def __init__(
        self, store: Store, mark: StepMark, info: activity.Info, heartbeat: Callable[[], None]
    ) -> None:
        self._info = info
        self._writer = AttemptWriter(store, mark, info, heartbeat)

    async def run(self, execute: Callable[[], Awaitable[Any]]) -> Any:
        """Execute the undo. Raises what it raises; an ApplicationError when it came too late."""
        await self._write("undo_started", {"status": "running"})
        try:
            result = await execute()
        except Exception as error:
            if pause_before_retry(error, self._info) is None and not activity.is_cancelled():
                undo = {"status": "failed", "error": clean(error_text(error))}
                await self._write("undo_failed", undo)
            raise
        await self._write("undone", {"status": "completed"})
        return result

    async def _write(self, action: StepAction, undo: dict[str, str]) -> None:
        await self._writer.write(self._writer.fenced(action, metadata={"undo": undo}))
