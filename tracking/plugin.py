"""Stepway's record for any workflow: a Temporal plugin for workers that run marked activities.

    async with open_tracking(database_url, redis_url) as tracking:
        async with Worker(client, ..., plugins=[tracking]):
            ...

In workflow code `tracking.recording.WorkflowRecord` writes the plan and the end, and activities
that are started within `tracking.marks.tracked` are steps. docs/examples/tracking/ is an example.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tracking.database import open_pool
from tracking.events import Publisher, open_redis
from tracking.interceptor import TrackingInterceptor
from tracking.recorder import Recorder
from tracking.redacting import RedactingInterceptor
from tracking.store import Store


class TrackingPlugin(SimplePlugin):
    """Gives a worker the interceptor and the activities that write the record.

    Give it to a worker, or to the client of all workers, but not to both. What records comes
    before the worker's own interceptors, what redacts after them, next to the step.
    """

    def __init__(self, store: Store) -> None:
        super().__init__("stepway.tracking", workflow_runner=_let_through)
        self._store = store

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Add what records steps."""
        config = super().configure_worker(config)
        client = config["client"]
        interceptor = TrackingInterceptor(self._store, client.data_converter)
        recorder = Recorder(self._store, client)
        own = config.get("interceptors", [])
        config["interceptors"] = [interceptor, *own, RedactingInterceptor()]
        config["activities"] = [*config.get("activities", []), *recorder.activities()]
        return config


@asynccontextmanager
async def open_tracking(
    database_url: str, redis_url: str, *, connections: int = 10
) -> AsyncIterator[TrackingPlugin]:
    """A plugin on a migrated database and a Redis, for as long as the context is open."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(database_url, max_size=connections)
        stack.push_async_callback(pool.close)
        redis = open_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        yield TrackingPlugin(Store(pool, Publisher(redis)))


def _let_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    """The sandbox need not load the tracking modules anew for each workflow."""
    runner = runner or SandboxedWorkflowRunner()
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner
    return replace(runner, restrictions=runner.restrictions.with_passthrough_modules("tracking"))
