"""The worker's interceptor: records every activity that carries a step's mark."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import activity
from temporalio.converter import DataConverter
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from stepway_tracking.record.progress import Progress
from stepway_tracking.record.store import Store
from stepway_tracking.worker.attempt import TrackedAttempt, TrackedUndo
from stepway_tracking.worker.progress_reporter import ProgressReporter
from stepway_tracking.workflow.marks import MarkingInterceptor, StepMark

HEARTBEAT_SECONDS = 2.0


class TrackingInterceptor(Interceptor):
    """Records each step in the worker that runs its activity.

    The activity itself is plain Temporal code: it heartbeats `Progress`, returns or raises.
    """

    def __init__(self, store: Store, converter: DataConverter) -> None:
        self._store = store
        self._converter = converter

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Record the attempt."""
        return _TrackingInbound(next, self._store, self._converter)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        """Mark the activities that workflow code starts as steps."""
        return MarkingInterceptor


class _TrackingInbound(ActivityInboundInterceptor):
    def __init__(
        self, next: ActivityInboundInterceptor, store: Store, converter: DataConverter
    ) -> None:
        super().__init__(next)
        self._store = store
        self._converter = converter

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = _ProgressOutbound(outbound)
        super().init(self._outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        mark = StepMark.of(input.headers)
        if mark is None:
            return await super().execute_activity(input)
        info, heartbeat = activity.info(), self._outbound.repeat_heartbeat
        if mark.undo:
            undo = TrackedUndo(self._store, mark, info, heartbeat)
            return await undo.run(lambda: self._execute(input, mark))
        attempt = TrackedAttempt(self._store, self._converter, mark, info, heartbeat)
        return await attempt.run(lambda: self._execute(input, mark), self._outbound.report_to)

    async def _execute(self, input: ExecuteActivityInput, mark: StepMark) -> Any:
        if not mark.beats:
            return await super().execute_activity(input)
        heartbeats = asyncio.create_task(self._outbound.heartbeat_forever())
        try:
            return await super().execute_activity(input)
        finally:
            heartbeats.cancel()


class _ProgressOutbound(ActivityOutboundInterceptor):
    """Receives every heartbeat, including those that the SDK throttles."""

    def __init__(self, next: ActivityOutboundInterceptor) -> None:
        super().__init__(next)
        self._reporter: ProgressReporter | None = None
        self._details: Sequence[Any] = next.info().heartbeat_details

    def report_to(self, reporter: ProgressReporter) -> None:
        self._reporter = reporter

    def heartbeat(self, *details: Any) -> None:
        self._details = details
        if self._reporter and details and isinstance(details[0], Progress):
            self._reporter.report(details[0])
        super().heartbeat(*details)

    def repeat_heartbeat(self) -> None:
        """Send the last heartbeat again; its details are kept for the next attempt.

        Call it on the event loop. `activity.heartbeat` would block the loop if the step runs in a
        thread.
        """
        super().heartbeat(*self._details)

    async def heartbeat_forever(self) -> None:
        """Send heartbeats for a step that sends none, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self.repeat_heartbeat()
