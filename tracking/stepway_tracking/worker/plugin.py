"""Records the steps of any workflow: a Temporal plugin for workers that run marked activities.

    async with open_tracking(database_url, redis_url) as tracking:
        async with Worker(client, ..., plugins=[tracking]):
            ...

In workflow code, `WorkflowRecord` (stepway_tracking.workflow.recording) writes the plan and the
end. Activities that start within `tracked` (stepway_tracking.workflow.marks) are steps.
docs/examples/tracking is a complete example.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import asyncpg
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from stepway_tracking.logs.blobs import LogBlobs
from stepway_tracking.logs.retention import DAYS
from stepway_tracking.logs.writer import LogWriter, open_logs
from stepway_tracking.migrations.fit import schema_problem
from stepway_tracking.postgres import UNREACHABLE, open_pool
from stepway_tracking.record.errors import SchemaError
from stepway_tracking.record.store import Redact, Store
from stepway_tracking.stream.publisher import Publisher, open_redis
from stepway_tracking.worker.interceptor import TrackingInterceptor
from stepway_tracking.worker.recorder import Recorder

logger = logging.getLogger(__name__)


class TrackingPlugin(SimplePlugin):
    """Adds to a worker the interceptor and the activities that write the record.

    Pass it to a worker or to its client, but not to both. Its interceptor is the outermost, so the
    worker's other interceptors see an activity's result first.

    `converter` encodes the results that the record keeps; it is the client's by default. `logs`
    keeps what steps log.
    """

    def __init__(
        self,
        store: Store,
        converter: DataConverter | None = None,
        logs: LogWriter | None = None,
    ) -> None:
        super().__init__("stepway.tracking", workflow_runner=_passed_through)
        self._store = store
        self._converter = converter
        self._logs = logs

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Add the interceptor and the activities."""
        config = super().configure_worker(config)
        client = config["client"]
        converter = self._converter or client.data_converter
        interceptor = TrackingInterceptor(self._store, converter, client, self._logs)
        recorder = Recorder(self._store, client, converter)
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
    log_days: int | None = DAYS,
    log_store: str = "",
) -> AsyncIterator[TrackingPlugin]:
    """A plugin that uses a migrated database and a Redis while the context is open.

    `redact` removes secrets from each JSON value before it is recorded. Lines that steps log are
    kept for `log_days` days; None keeps all. `log_store`, such as `s3://BUCKET/PREFIX`, takes the
    logs of ended attempts; it needs the extra `s3`. Raises SchemaError, with
    the command to run, if the tables are missing or do not match this version.
    """
    async with AsyncExitStack() as stack:
        pool = await open_pool(database_url, max_size=connections)
        stack.push_async_callback(pool.close)
        await _require_schema(pool)
        redis = open_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        publisher = Publisher(redis)
        stack.push_async_callback(publisher.close)
        blobs = LogBlobs(log_store) if log_store else None
        logs = await stack.enter_async_context(
            open_logs(pool, publisher, redact, days=log_days, blobs=blobs)
        )
        yield TrackingPlugin(Store(pool, publisher, redact), logs=logs)


async def _require_schema(pool: asyncpg.Pool) -> None:
    try:
        problem = await schema_problem(pool)
    except UNREACHABLE as error:
        # A worker may start before Postgres; its steps wait.
        logger.warning("Postgres is unreachable; the schema is not checked: %r", error)
        return
    if problem:
        raise SchemaError(problem)


def _passed_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    """Let the sandbox pass this library through, instead of loading it for each workflow."""
    runner = runner or SandboxedWorkflowRunner()
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner
    return replace(
        runner, restrictions=runner.restrictions.with_passthrough_modules("stepway_tracking")
    )
