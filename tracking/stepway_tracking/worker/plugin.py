"""Stepway's record for any workflow: a Temporal plugin for workers that run marked activities.

    async with open_tracking(database_url, redis_url) as tracking:
        async with Worker(client, ..., plugins=[tracking]):
            ...

In workflow code `WorkflowRecord` (stepway_tracking.workflow.recording) writes the plan and the
end. Activities that are started within `tracked` (stepway_tracking.workflow.marks) are steps.
docs/examples/tracking is a complete example.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from stepway_tracking.postgres import open_pool
from stepway_tracking.record.store import Redact, Store
from stepway_tracking.stream.publisher import Publisher, open_redis
from stepway_tracking.worker.interceptor import TrackingInterceptor
from stepway_tracking.worker.recorder import Recorder


class TrackingPlugin(SimplePlugin):
    """Gives a worker the interceptor and the activities that write the record.

    Give it to a worker, or to the client of all workers, but not to both. Its interceptor runs
    outside the worker's own interceptors, so they see an activity's result first.
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
        config["interceptors"] = [interceptor, *own]
        config["activities"] = [*config.get("activities", []), *recorder.activities()]
        return config


@asynccontextmanager
async def open_tracking(
    database_url: str,
    redis_url: str,
    *,
    connections: int = 10,
    redact: Redact = lambda value: value,
) -> AsyncIterator[TrackingPlugin]:
    """A plugin on a migrated database and a Redis, for as long as the context is open.

    `redact` takes secrets out of every JSON value before it is recorded.
    """
    async with AsyncExitStack() as stack:
        pool = await open_pool(database_url, max_size=connections)
        stack.push_async_callback(pool.close)
        redis = open_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        yield TrackingPlugin(Store(pool, Publisher(redis), redact))


def _let_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    """The sandbox does not reload this library for each workflow."""
    runner = runner or SandboxedWorkflowRunner()
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner
    return replace(
        runner, restrictions=runner.restrictions.with_passthrough_modules("stepway_tracking")
    )
