"""Runs one attempt at a step and records its start, progress and result."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import logging
import os
import platform
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError
from temporalio.exceptions import CancelledError as ActivityCancelled

from stepway_tracking.record.facts import LONGEST_MESSAGE, AttemptOutcome, StepAction
from stepway_tracking.record.progress import Skipped
from stepway_tracking.worker.failures import (
    details_of,
    error_text,
    is_asked_to_wait,
    next_attempt,
    pause_before_retry,
    remedy_of,
    stack_of,
    truncate,
)
from stepway_tracking.worker.limits import LIMIT_EXCEEDED
from stepway_tracking.worker.progress_reporter import ProgressReporter
from stepway_tracking.worker.recorded_attempt import RecordedAttempt
from stepway_tracking.worker.result_metadata import result_metadata
from stepway_tracking.worker.temporal_errors import error_for_temporal

log = logging.getLogger(__name__)

WORKER = f"{os.getpid()}@{platform.node()}"
"""The worker's identity, `PID@HOST`, the same as in Temporal's UI."""


LARGEST_RESULT = 2_000_000
"""Bytes of an encoded result; Temporal's own limit is 2 MiB."""


class TrackedAttempt(RecordedAttempt):
    """Runs a step once and records its start, its progress and its outcome."""

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
            self._check_bounds(start)
            # The cancellation may arrive while the start is being written.
            if activity.is_cancelled():
                raise asyncio.CancelledError
            with self._slow_timer():
                result = await self._limits.hold(execute)
                kept = await self._encode(result)
        except BaseException as raised:
            error = self._heartbeat_error(raised) or raised
            is_last = await self._record_error(error, reporter)
            told = error_for_temporal(error, self._converter, is_last=is_last)
            if told is raised:
                raise
            raise told from told.__cause__
        await self._record_result(result, kept, reporter)
        return result

    def _heartbeat_error(self, error: BaseException) -> ApplicationError | None:
        """The step's error if the SDK stopped it because a heartbeat could not be sent."""
        is_stopped = isinstance(error, asyncio.CancelledError | ActivityCancelled)
        if not (is_stopped and self._limits.is_cancelled):
            return None
        if activity.cancellation_details() is not None:
            return None
        return ApplicationError(
            "A heartbeat of the step could not be sent to Temporal. "
            "The worker's log has the reason.",
            type="HeartbeatFailed",
        )

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

    async def _record_error(self, error: BaseException, reporter: ProgressReporter) -> bool:
        """Record what has ended the attempt; whether Temporal must not start another."""
        if isinstance(error, activity._CompleteAsyncError):
            # Another process completes this activity; the workflow records the result.
            await reporter.close()
        elif self._limits.is_cancelled and isinstance(
            error, (asyncio.CancelledError, ActivityCancelled)
        ):
            await self._record_interruption(reporter)
        else:
            return await self._record_failure(error, reporter)
        return False

    async def _record_failure(self, error: BaseException, reporter: ProgressReporter) -> bool:
        text = truncate(error_text(error))
        stack = truncate(stack_of(error))
        remedy = remedy_of(error)
        metadata: dict[str, Any] = {"remedy": remedy} if remedy else {}
        details = activity.cancellation_details()
        cancelled = details is not None and details.cancel_requested
        outcome = failure_outcome(error)
        is_last = outcome != "interrupted" and self._is_last_failure()
        pause = None if cancelled or is_last else pause_before_retry(error, self._info)
        action: StepAction = "failed" if pause is None else "attempt_failed"
        if pause is not None:
            metadata |= {
                "last_error": truncate(text, LONGEST_MESSAGE),
                **next_attempt(error, pause),
            }
        change = self._writer.attempt_change(
            action,
            outcome=outcome,
            error=text,
            error_stack=stack,
            error_details=details_of(error, self._converter) or None,
            metadata=metadata,
        )
        await self._writer.write(change, reporter)
        return is_last

    async def _record_interruption(self, reporter: ProgressReporter) -> None:
        outcome = interruption_outcome(activity.cancellation_details())
        if outcome == "timed_out" and self._mark.attempts is not None:
            # Temporal's timeouts are those of the worker.
            outcome = "lost"
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
        size = payloads[0].ByteSize()
        if size > LARGEST_RESULT:
            raise ApplicationError(
                f"The step returned {size:,} bytes; at most {LARGEST_RESULT:,} fit. Return "
                "the address of large data instead of the data.",
                type="ResultTooLarge",
                non_retryable=True,
            )
        return base64.b64encode(payloads[0].SerializeToString()).decode()

    async def _decode(self, kept: str) -> Any:
        payload = Payload.FromString(base64.b64decode(kept))
        return (await self._converter.decode([payload]))[0]


def failure_outcome(error: BaseException) -> AttemptOutcome:
    """The outcome of an attempt that has raised this error.

    `interrupted` stands for an attempt that does not count as a failure of the step.
    """
    if is_asked_to_wait(error):
        return "interrupted"
    kind = error.type if isinstance(error, ApplicationError) else None
    return "timed_out" if kind == LIMIT_EXCEEDED else "failed"


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
