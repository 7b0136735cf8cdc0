"""A workflow with one tracked step, and workers that run it on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.worker import Interceptor, Worker

with workflow.unsafe.imports_passed_through():
    import asyncpg

    from stepway_tracking.logs.writer import LogWriter
    from stepway_tracking.record.changes import NewInitialization, PlannedRow
    from stepway_tracking.record.store import EventPublisher, Store
    from stepway_tracking.worker.interceptor import TrackingInterceptor
    from stepway_tracking.worker.plugin import TrackingPlugin
    from stepway_tracking.worker.recorder import Recorder
    from stepway_tracking.workflow.marks import tracked
    from stepway_tracking.workflow.recording import WorkflowRecord
    from tests.support.record import Record

STEP = "build"
"""Name of the step and of its activity type."""

GATE = "gate"
"""Type of an untracked activity that can run before the step."""

THROTTLE = timedelta(seconds=0.2)
"""Interval of heartbeats to Temporal; short, so that a cancel arrives soon."""


@dataclass
class TrackedRun:
    """Options of the step; times in seconds."""

    project_id: str
    gate: bool = False
    timeout: float = 60.0
    heartbeat: float | None = None
    schedule_to_close: float | None = None
    attempts: int = 3
    pause: float = 0.1
    final_types: list[str] = field(default_factory=list)
    slow_after: int | None = None
    undo: bool = False


@workflow.defn
class RunTrackedStep:
    """Plans one step and runs it."""

    @workflow.run
    async def run(self, given: TrackedRun) -> Any:
        """Return the result of the step."""
        info = workflow.info()
        await WorkflowRecord(given.project_id).plan(
            NewInitialization(
                given.project_id,
                name=info.workflow_id,
                owner="local",
                blueprint="test",
                steps=[PlannedRow(STEP, "Build")],
                workflow_id=info.workflow_id,
                run_id=info.run_id,
            )
        )
        if given.gate:
            await workflow.execute_activity(GATE, start_to_close_timeout=timedelta(seconds=60))
        result = await self._step(given, STEP)
        if given.undo:
            await self._step(given, f"undo_{STEP}", undo=True)
        return result

    async def _step(self, given: TrackedRun, uses: str, undo: bool = False) -> Any:
        with tracked(given.project_id, STEP, slow_after=given.slow_after, undo=undo):
            return await workflow.execute_activity(
                uses,
                start_to_close_timeout=timedelta(seconds=given.timeout),
                heartbeat_timeout=_seconds(given.heartbeat),
                schedule_to_close_timeout=_seconds(given.schedule_to_close),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=given.pause),
                    backoff_coefficient=1.0,
                    maximum_attempts=given.attempts,
                    non_retryable_error_types=given.final_types,
                ),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )


def _seconds(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


@dataclass
class Tracker:
    """Starts workflows and workers on one task queue."""

    client: Client
    pool: asyncpg.Pool
    publisher: EventPublisher
    queue: str = field(default_factory=lambda: f"tracked-{uuid4().hex[:8]}")
    logs: LogWriter | None = None

    @asynccontextmanager
    async def worker(
        self,
        *steps: Callable[..., Any],
        outside: Sequence[Interceptor] = (),
        inside: Sequence[Interceptor] = (),
        grace: float = 0,
    ) -> AsyncIterator[Worker]:
        """Run a worker; `outside` are interceptors around the tracking one, `inside` within it."""
        store = Store(self.pool, self.publisher)
        own: dict[str, Any] = {
            "plugins": [TrackingPlugin(store, logs=self.logs)],
            "activities": steps,
            "interceptors": [*inside],
        }
        if outside:
            tracking = TrackingInterceptor(store, self.client.data_converter, self.client)
            recorder = Recorder(store, self.client).activities()
            own = {"interceptors": [*outside, tracking], "activities": [*steps, *recorder]}
        with ThreadPoolExecutor(8) as threads:
            async with Worker(
                self.client,
                task_queue=self.queue,
                workflows=[RunTrackedStep],
                activity_executor=threads,
                max_heartbeat_throttle_interval=THROTTLE,
                default_heartbeat_throttle_interval=THROTTLE,
                graceful_shutdown_timeout=timedelta(seconds=grace),
                **own,
            ) as worker:
                yield worker

    async def start(
        self, lifetime: float = 60.0, **options: Any
    ) -> tuple[WorkflowHandle[Any, Any], Record]:
        """Start the workflow; return its handle and record.

        Temporal ends it after `lifetime` seconds, and starts no attempt that would be later.
        """
        record = Record(self.pool)
        handle = await self.client.start_workflow(
            RunTrackedStep.run,
            TrackedRun(record.project_id, **options),
            id=f"tracked-{record.project_id}",
            task_queue=self.queue,
            execution_timeout=timedelta(seconds=lifetime),
        )
        return handle, record


@asynccontextmanager
async def locked(record: Record) -> AsyncIterator[None]:
    """Keep everyone from writing a project's record."""
    async with record.pool.acquire() as other, other.transaction():
        await other.execute("SELECT 1 FROM projects WHERE id = $1 FOR UPDATE", record.project_id)
        yield
