"""One attempt at a step, recorded around its run."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import logging
import os
import platform
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.common import RetryPolicy
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.exceptions import CancelledError as ActivityCancelled

from tracking.changes import StepChange
from tracking.database import UNREACHABLE
from tracking.marks import StepMark
from tracking.progress import Skipped
from tracking.reporter import ProgressReporter
from tracking.store import Outcome, Store

log = logging.getLogger(__name__)

WORKER = f"{os.getpid()}@{platform.node()}"
"""Who runs an attempt, as Temporal's UI names it too: process and host."""

LONGEST_TEXT = 100_000
"""Characters of an error or a stack that are kept; of more, the end."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between tries of a write while Postgres is out of reach."""

SHUTDOWN_PATIENCE = 5.0
"""Seconds that the write of an interrupted attempt may take."""


class TrackedAttempt:
    """Runs a step once, writing its start, its progress and how it ended."""

    def __init__(
        self, store: Store, converter: DataConverter, mark: StepMark, info: activity.Info
    ) -> None:
        self._store = store
        self._converter = converter
        self._mark = mark
        self._info = info

    async def run(
        self,
        execute: Callable[[], Awaitable[Any]],
        attach: Callable[[ProgressReporter], None],
    ) -> Any:
        """Execute the step, or give back what this very activity returned before.

        Raises what the step raises; an ApplicationError when a newer attempt owns the step.
        """
        start = await self._write(self._change("started", worker=WORKER))
        if start.said == "kept":
            return await self._decode(start.result or "")
        reporter = ProgressReporter(self._report)
        attach(reporter)
        try:
            result = await execute()
        except (asyncio.CancelledError, ActivityCancelled):
            await asyncio.wait_for(self._interrupted(reporter), SHUTDOWN_PATIENCE)
            raise
        except Exception as error:
            await reporter.close()
            await self._failed(error)
            raise
        await reporter.close()
        await self._finished(result)
        return result

    def _change(self, action: str, **fields: Any) -> StepChange:
        info = self._info
        return StepChange(
            step=self._mark.step,
            action=action,
            fence=info.current_attempt_scheduled_time.isoformat(),
            change_id=f"{info.workflow_run_id}/{info.activity_id}/"
            f"{info.current_attempt_scheduled_time.timestamp()}/{info.attempt}/{action}",
            run_id=info.workflow_run_id,
            activity_id=info.activity_id,
            attempt=info.attempt,
            **fields,
        )

    async def _write(self, change: StepChange) -> Outcome:
        """Write until it is in, heartbeating meanwhile; only a cancel ends the wait."""
        pause = FIRST_PAUSE
        while True:
            try:
                outcome = await self._store.update_step_status(self._mark.project_id, change)
                break
            except UNREACHABLE as error:
                log.warning("Postgres takes no %s of %s: %s", change.action, change.step, error)
                activity.heartbeat()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        if outcome.said in ("superseded", "unknown"):
            raise ApplicationError(
                f"Attempt {change.attempt} of {change.step} is {outcome.said}.",
                type="Superseded",
                non_retryable=True,
            )
        return outcome

    async def _report(self, percent: int, message: str, parts: list[dict[str, Any]]) -> None:
        change = dataclasses.replace(self._change("progressed"), change_id=None, sub_steps=parts)
        await self._store.update_progress(
            self._mark.project_id, change, percent, clean(message, 1000)
        )

    async def _finished(self, result: Any) -> None:
        kept = await self._encode(result)
        if isinstance(result, Skipped):
            reason = clean(result.skipped)
            await self._write(self._change("skipped", result=kept, metadata={"reason": reason}))
        else:
            await self._write(self._change("completed", result=kept, metadata=as_metadata(result)))

    async def _failed(self, error: Exception) -> None:
        text = clean(error_text(error))
        stack = clean("".join(traceback.format_exception(error)))
        remedy = remedy_of(error)
        metadata = {"remedy": clean(remedy)} if remedy else {}
        pause = pause_before_retry(error, self._info)
        if pause is None:
            change = self._change("failed", error=text, error_stack=stack, metadata=metadata)
        else:
            next_attempt_at = (datetime.now(UTC) + pause).isoformat()
            metadata |= {"last_error": text, "next_attempt_at": next_attempt_at}
            change = self._change(
                "attempt_failed", error=text, error_stack=stack, metadata=metadata
            )
        await self._write(change)

    async def _interrupted(self, reporter: ProgressReporter) -> None:
        await reporter.close()
        details = activity.cancellation_details()
        said = dataclasses.asdict(details) if details else {}
        outcome = next((name for name, is_so in said.items() if is_so), "cancel_requested")
        if outcome == "paused":
            change = self._change("paused", outcome="paused", metadata={"paused": True})
        else:
            change = self._change("interrupted", outcome=OUTCOMES.get(outcome, outcome))
        try:
            await self._write(change)
        except ApplicationError as superseded:
            log.info("%s", superseded)

    async def _encode(self, result: Any) -> str:
        payloads = await self._converter.encode([result])
        return base64.b64encode(payloads[0].SerializeToString()).decode()

    async def _decode(self, kept: str) -> Any:
        payload = Payload.FromString(base64.b64decode(kept))
        return (await self._converter.decode([payload]))[0]


OUTCOMES = {"cancel_requested": "cancelled", "worker_shutdown": "interrupted", "not_found": "lost"}
"""How an attempt that was stopped is called, by why the SDK says that it was."""


def error_text(error: Exception) -> str:
    """An error as people read it: a step's own words, else the kind of error before its text."""
    if isinstance(error, ApplicationError):
        return error.message
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def remedy_of(error: Exception) -> str:
    """What the step said a person can do about its error."""
    details = error.details if isinstance(error, ApplicationError) else ()
    first = details[0] if details else None
    return str(first.get("remedy", "")) if isinstance(first, dict) else ""


def pause_before_retry(error: Exception, info: activity.Info) -> timedelta | None:
    """How long Temporal waits before the next attempt; None when there is none."""
    policy = info.retry_policy or RetryPolicy()
    if isinstance(error, ApplicationError):
        if error.non_retryable or (error.type in (policy.non_retryable_error_types or ())):
            return None
        if error.next_retry_delay:
            return error.next_retry_delay
    elif type(error).__name__ in (policy.non_retryable_error_types or ()):
        return None
    if policy.maximum_attempts and info.attempt >= policy.maximum_attempts:
        return None
    longest = policy.maximum_interval or policy.initial_interval * 100
    growth = policy.backoff_coefficient ** min(info.attempt - 1, 64)
    return timedelta(
        seconds=min(policy.initial_interval.total_seconds() * growth, longest.total_seconds())
    )


def as_metadata(result: Any) -> dict[str, Any]:
    """What a step returned, as its row's metadata shows it."""
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return dataclasses.asdict(result)
    return dict(result) if isinstance(result, dict) else {}


def clean(text: str, longest: int = LONGEST_TEXT) -> str:
    """Text that Postgres takes: no NUL, and of a very long one the end."""
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= longest else "…" + text[-longest:]
