"""Runs one attempt at a step and records its start, progress and result."""

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
    error_text,
    pause_before_retry,
    remedy_of,
    stack_of,
    truncate,
)
from stepway_tracking.worker.progress_reporter import ProgressReporter
from stepway_tracking.workflow.marks import StepMark

log = logging.getLogger(__name__)

WORKER = f"{os.getpid()}@{platform.node()}"
"""The worker's identity, `PID@HOST`, the same as in Temporal's UI."""


class TrackedAttempt:
    """Runs a step once and records its start, its progress and its outcome.

    `heartbeat` repeats the attempt's last heartbeat; it is called while Postgres is unreachable.
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
        """Execute the step, or return the recorded result if this activity has completed before.

        Raises the step's error, or ApplicationError if a newer attempt owns the step.
        """
        start = await self._writer.write(self._writer.attempt_change("started", worker=WORKER))
        if start.said == "kept":
            return await self._decode(start.result or "")
        reporter = self._reporter()
        attach(reporter)
        try:
            # The cancellation may arrive while the start is being written.
            if activity.is_cancelled():
                raise asyncio.CancelledError
            with self._slow_timer():
                result = await execute()
                kept = await self._encode(result)
        except BaseException as error:
            await self._record_error(error, reporter)
            raise
        await self._record_result(result, kept, reporter)
        return result

    def _reporter(self) -> ProgressReporter:
        progressed = dataclasses.replace(self._writer.attempt_change("progressed"), change_id=None)
        return ProgressReporter(
            lambda change: self._store.update_step_status(self._mark.project_id, change), progressed
        )

    @contextmanager
    def _slow_timer(self) -> Iterator[None]:
        """Mark the attempt as slow if it runs longer than `slow_after`."""
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
        await self._writer.write_until_accepted(
            self._writer.attempt_change("slow", metadata={"slow": True})
        )

    async def _record_result(self, result: Any, kept: str, reporter: ProgressReporter) -> None:
        if isinstance(result, Skipped):
            metadata = {"reason": truncate(result.skipped)}
            change = self._writer.attempt_change("skipped", result=kept, metadata=metadata)
        else:
            metadata = result_metadata(result, self._converter)
            change = self._writer.attempt_change("completed", result=kept, metadata=metadata)
        await self._writer.write(change, reporter)

    async def _record_error(self, error: BaseException, reporter: ProgressReporter) -> None:
        if isinstance(error, activity._CompleteAsyncError):
            # Another process completes this activity; the workflow records the result.
            await reporter.close()
        elif activity.is_cancelled() and isinstance(
            error, (asyncio.CancelledError, ActivityCancelled)
        ):
            await self._record_interruption(reporter)
        else:
            await self._record_failure(error, reporter)

    async def _record_failure(self, error: BaseException, reporter: ProgressReporter) -> None:
        text = truncate(error_text(error))
        stack = truncate(stack_of(error))
        remedy = remedy_of(error)
        metadata = {"remedy": truncate(remedy)} if remedy else {}
        details = activity.cancellation_details()
        cancelled = details is not None and details.cancel_requested
        pause = None if cancelled else pause_before_retry(error, self._info)
        action: StepAction = "failed" if pause is None else "attempt_failed"
        if pause is not None:
            next_attempt_at = (datetime.now(UTC) + pause).isoformat()
            metadata |= {"last_error": text, "next_attempt_at": next_attempt_at}
        change = self._writer.attempt_change(
            action, error=text, error_stack=stack, metadata=metadata
        )
        await self._writer.write(change, reporter)

    async def _record_interruption(self, reporter: ProgressReporter) -> None:
        outcome = interruption_outcome(activity.cancellation_details())
        if outcome == "paused":
            change = self._writer.attempt_change(
                "paused", outcome=outcome, metadata={"paused": True}
            )
        else:
            change = self._writer.attempt_change("interrupted", outcome=outcome)
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
"""Outcomes of stopped attempts, by the SDK's cancellation reason."""


def interruption_outcome(details: activity.ActivityCancellationDetails | None) -> AttemptOutcome:
    """The outcome of a stopped attempt: one of OUTCOMES."""
    flags = dataclasses.asdict(details) if details else {}
    reason = next((name for name, is_set in flags.items() if is_set), "worker_shutdown")
    return OUTCOMES[reason]


def result_metadata(result: Any, converter: DataConverter) -> dict[str, Any]:
    """A step's result as metadata of its row; empty unless the result is a JSON object."""
    payload = converter.payload_converter.to_payload(result)
    if not payload.metadata["encoding"].startswith(b"json/"):
        return {}
    value = json.loads(payload.data)
    return value if isinstance(value, dict) else {}


FIRST_RETRY_DELAY, LONGEST_RETRY_DELAY = 0.2, 2.0
"""Seconds between attempts to write while Postgres is unreachable."""

HEARTBEAT_SECONDS = 1.0
"""Seconds between heartbeats during a write."""

CANCEL_GRACE = 5.0
"""Seconds that a write may take after its activity is cancelled."""


class AttemptWriter:
    """Writes the changes of one attempt.

    `heartbeat` sends a heartbeat to Temporal; it is called on the event loop.
    """

    def __init__(
        self, store: Store, mark: StepMark, info: activity.Info, heartbeat: Callable[[], None]
    ) -> None:
        self._store = store
        self._mark = mark
        self._info = info
        self._heartbeat = heartbeat

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
        ApplicationError if a newer attempt owns the step or the step does not exist.
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
        """Write in one transaction, retrying until Postgres accepts it; the last outcome."""
        pause = FIRST_RETRY_DELAY
        while True:
            try:
                return (await self._store.record(Changes(self._mark.project_id, [*changes])))[-1]
            except UNREACHABLE as error:
                last = changes[-1]
                log.warning("Postgres cannot record %s of %s: %r", last.action, last.step, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_RETRY_DELAY)

    async def _write(self, change: StepChange, reporter: ProgressReporter | None) -> Outcome:
        progress = await reporter.close() if reporter else None
        return await self.write_until_accepted(*([progress, change] if progress else [change]))

    async def _heartbeat_until_done(self, writing: asyncio.Task[Outcome]) -> None:
        while not (await asyncio.wait([writing], timeout=HEARTBEAT_SECONDS))[0]:
            # If the step runs in a thread, the cancellation is raised in that thread only.
            if activity.is_cancelled():
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


def _final_error(kind: str, message: str) -> ApplicationError:
    return ApplicationError(message, type=kind, non_retryable=True)


class TrackedUndo:
    """Runs a rollback activity. If no worker sees it fail, the workflow records the failure."""

    def __init__(
        self, store: Store, mark: StepMark, info: activity.Info, heartbeat: Callable[[], None]
    ) -> None:
        self._info = info
        self._writer = AttemptWriter(store, mark, info, heartbeat)

    async def run(self, execute: Callable[[], Awaitable[Any]]) -> Any:
        """Execute the rollback. Raises its error, or ApplicationError if it was superseded."""
        await self._write("undo_started", {"status": "running"})
        try:
            result = await execute()
        except Exception as error:
            if pause_before_retry(error, self._info) is None and not activity.is_cancelled():
                undo = {"status": "failed", "error": truncate(error_text(error))}
                await self._write("undo_failed", undo)
            raise
        await self._write("undone", {"status": "completed"})
        return result

    async def _write(self, action: StepAction, undo: dict[str, str]) -> None:
        await self._writer.write(self._writer.fenced_change(action, metadata={"undo": undo}))
