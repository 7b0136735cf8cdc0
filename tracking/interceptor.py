"""The worker's interceptor: records every activity that carries a step's mark."""

from __future__ import annotations

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

from tracking.attempt import TrackedAttempt
from tracking.marks import MarkingInterceptor, StepMark
from tracking.progress import Progress
from tracking.reporter import ProgressReporter
from tracking.store import Store
from tracking.undoing import TrackedUndo


class TrackingInterceptor(Interceptor):
    """Writes each step's row around its activity, in the worker that runs it.

    The activity never knows: it heartbeats `Progress`, returns or raises, as plain Temporal has it.
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
        info = activity.info()
        if mark.undo:
            return await TrackedUndo(self._store, mark, info).run(lambda: self._execute(input))
        attempt = TrackedAttempt(self._store, self._converter, mark, info)
        return await attempt.run(lambda: self._execute(input), self._outbound.report_to)

    async def _execute(self, input: ExecuteActivityInput) -> Any:
        return await super().execute_activity(input)


class _ProgressOutbound(ActivityOutboundInterceptor):
    """Sees every heartbeat, also those that the SDK throttles."""

    _reporter: ProgressReporter | None = None

    def report_to(self, reporter: ProgressReporter) -> None:
        self._reporter = reporter

    def heartbeat(self, *details: Any) -> None:
        if self._reporter and details and isinstance(details[0], Progress):
            self._reporter.report(details[0])
        super().heartbeat(*details)
