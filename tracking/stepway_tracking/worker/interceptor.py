"""The worker's interceptor: records every activity that carries a step's mark."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from stepway_tracking.logs.attempt_log import AttemptKey
from stepway_tracking.logs.capture import capturing
from stepway_tracking.logs.writer import LogWriter
from stepway_tracking.record.progress import Progress
from stepway_tracking.record.store import Store
from stepway_tracking.worker.attempt import TrackedAttempt
from stepway_tracking.worker.failures import error_text
from stepway_tracking.worker.heartbeat_details import HeartbeatDetails
from stepway_tracking.worker.limits import StepLimits
from stepway_tracking.worker.loop_watch import LoopWatch
from stepway_tracking.worker.progress_reporter import ProgressReporter
from stepway_tracking.worker.progress_values import ProgressReader
from stepway_tracking.worker.rollback import TrackedUndo
from stepway_tracking.workflow.marks import MarkingInterceptor, StepMark

HEARTBEAT_SECONDS = 2.0
"""Longest time between two heartbeats that the worker sends for a step."""

HEARTBEATS_IN_TIMEOUT = 4
"""How many of them fit into the activity's heartbeat timeout."""


class TrackingInterceptor(Interceptor):
    """Records each step in the worker that runs its activity.

    The activity itself is plain Temporal code: it heartbeats `Progress`, returns or raises.
    With a `client`, a step that blocks the event loop does not cost the other steps of the worker
    their attempts.
    """

    def __init__(
        self,
        store: Store,
        converter: DataConverter,
        client: Client | None = None,
        logs: LogWriter | None = None,
    ) -> None:
        self._store = store
        self._converter = converter
        self._watch = LoopWatch(client)
        self._logs = logs

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Record the attempt."""
        return _TrackingInbound(next, self._store, self._converter, self._watch, self._logs)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        """Mark the activities that workflow code starts as steps."""
        return MarkingInterceptor


class _TrackingInbound(ActivityInboundInterceptor):
    def __init__(
        self,
        next: ActivityInboundInterceptor,
        store: Store,
        converter: DataConverter,
        watch: LoopWatch,
        logs: LogWriter | None,
    ) -> None:
        super().__init__(next)
        self._store = store
        self._converter = converter
        self._watch = watch
        self._logs = logs

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = _ProgressOutbound(outbound, self._converter)
        super().init(self._outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        mark = StepMark.of(input.headers)
        if mark is None:
            return await super().execute_activity(input)
        outbound = self._outbound
        outbound.read_progress_of(mark.step)
        given = (mark, activity.info(), outbound.repeat_heartbeat, self._limits(input, mark))
        with self._watch.attending(mark.step, outbound.last_heartbeat, outbound):
            if mark.undo:
                undo = TrackedUndo(self._store, self._converter, *given)
                return await undo.run(lambda: self._execute(input, mark))
            attempt = TrackedAttempt(self._store, self._converter, *given)
            return await attempt.run(lambda: self._execute(input, mark), outbound.report_to)

    def _limits(self, input: ExecuteActivityInput, mark: StepMark) -> StepLimits:
        if inspect.iscoroutinefunction(input.fn):
            input.fn = _coroutine_without_stop(input.fn)
        if not isinstance(input.executor, ThreadPoolExecutor):
            return StepLimits(mark, self._outbound.count)
        # A thread of the pool may not be free yet.
        begun = threading.Event()
        input.fn = _noting(begun, input.fn)
        return StepLimits(mark, self._outbound.count, begun.is_set, lambda: _stop_thread(self.next))

    async def _execute(self, input: ExecuteActivityInput, mark: StepMark) -> Any:
        with self._capturing(mark):
            if not mark.beats:
                return await super().execute_activity(input)
            heartbeats = asyncio.create_task(self._outbound.heartbeat_forever())
            try:
                return await super().execute_activity(input)
            finally:
                heartbeats.cancel()

    def _capturing(self, mark: StepMark) -> AbstractContextManager[Any]:
        if self._logs is None:
            return nullcontext()
        info = activity.info()
        key = AttemptKey(
            mark.project_id,
            mark.step,
            info.workflow_run_id or "",
            info.activity_id,
            info.attempt,
            mark.undo,
        )
        return capturing(self._logs.open(key))


def _noting(begun: threading.Event, run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def noted(*arguments: Any) -> Any:
        begun.set()
        try:
            return run(*arguments)
        except (StopIteration, StopAsyncIteration) as error:
            # A future does not take a StopIteration: the step would never end.
            raise RuntimeError(error_text(error)) from error

    return noted


def _coroutine_without_stop(run: Callable[..., Any]) -> Callable[..., Any]:
    """Python itself turns only StopIteration into a RuntimeError."""

    @functools.wraps(run)
    async def ran(*arguments: Any) -> Any:
        try:
            return await run(*arguments)
        except StopAsyncIteration as error:
            raise RuntimeError(error_text(error)) from error

    return ran


def _stop_thread(inbound: ActivityInboundInterceptor) -> None:
    """Cancel a step in a thread as Temporal does. The SDK has no public way to do so."""
    while isinstance(inner := getattr(inbound, "next", None), ActivityInboundInterceptor):
        inbound = inner
    running = getattr(inbound, "_running_activity", None)
    if running is not None:
        running.cancel()


class _ProgressOutbound(ActivityOutboundInterceptor):
    """Receives every heartbeat, including those that the SDK throttles."""

    def __init__(self, next: ActivityOutboundInterceptor, converter: DataConverter) -> None:
        super().__init__(next)
        self._reporter: ProgressReporter | None = None
        self._details: Sequence[Any] = next.info().heartbeat_details
        self._converter = converter.payload_converter
        self._count = 0
        self.read_progress_of("")

    def count(self) -> int:
        """How many heartbeats the step has sent."""
        return self._count

    def last_heartbeat(self) -> Sequence[Any]:
        """The details of the last heartbeat."""
        return self._details

    def read_progress_of(self, step: str) -> None:
        """Name the step in warnings about its progress."""
        self._reader = ProgressReader(step)
        self._fit = HeartbeatDetails(step, self._converter)

    def report_to(self, reporter: ProgressReporter) -> None:
        self._reporter = reporter

    def heartbeat(self, *details: Any) -> None:
        self._count += 1
        if details and isinstance(details[0], Progress):
            details = (self._reader.read(details[0]), *details[1:])
            if self._reporter:
                self._reporter.report(details[0])
        self._details = self._fit.accepted(details)
        super().heartbeat(*self._details)

    def repeat_heartbeat(self) -> None:
        """Send the last heartbeat again; its details are kept for the next attempt.

        Call it on the event loop. `activity.heartbeat` would block the loop if the step runs in a
        thread.
        """
        super().heartbeat(*self._details)

    async def heartbeat_forever(self) -> None:
        """Send heartbeats for a step that sends none, until cancelled."""
        pause = HEARTBEAT_SECONDS
        if timeout := self.info().heartbeat_timeout:
            pause = min(pause, timeout.total_seconds() / HEARTBEATS_IN_TIMEOUT)
        while True:
            await asyncio.sleep(pause)
            self.repeat_heartbeat()
