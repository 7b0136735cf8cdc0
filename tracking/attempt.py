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

from tracking.failing import clean, error_text, pause_before_retry, remedy_of, stack_of
from tracking.marks import StepMark
from tracking.progress import Skipped
from tracking.reporter import ProgressReporter
from tracking.store import Store
from tracking.writing import AttemptWriter

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
        if pause is None:
            action = "failed"
        else:
            action = "attempt_failed"
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


OUTCOMES = {"cancel_requested": "cancelled", "worker_shutdown": "interrupted", "not_found": "lost"}
"""How an attempt that was stopped is called, by why the SDK says that it was."""


def interruption(details: activity.ActivityCancellationDetails | None) -> str:
    """The outcome of an attempt that was stopped: `cancelled`, `interrupted`, `lost`, `paused`,
    `reset` or `timed_out`.
    """
    said = dataclasses.asdict(details) if details else {}
    reason = next((name for name, is_so in said.items() if is_so), "worker_shutdown")
    return OUTCOMES.get(reason, reason)


def as_metadata(result: Any, converter: DataConverter) -> dict[str, Any]:
    """What a step returned, as its row's metadata shows it: as JSON, if that is an object."""
    payload = converter.payload_converter.to_payload(result)
    if not payload.metadata["encoding"].startswith(b"json/"):
        return {}
    made = json.loads(payload.data)
    return made if isinstance(made, dict) else {}
