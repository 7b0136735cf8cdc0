"""Stepway's record for any workflow: a Temporal plugin for workers that run marked activities.

    async with open_tracking(database_url, redis_url) as tracking:
        async with Worker(client, ..., plugins=[tracking]):
            ...

In workflow code `WorkflowRecord` (stepway_tracking.workflow.recording) writes the plan and the
end. Activities that are started within `tracked` (stepway_tracking.workflow.marks) are steps.
docs/examples/tracking is a complete example.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import asyncpg
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkerConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from stepway_tracking.migrations.fit import schema_problem
from stepway_tracking.postgres import UNREACHABLE, open_pool
from stepway_tracking.record.errors import SchemaError
from stepway_tracking.record.store import Redact, Store
from stepway_tracking.stream.publisher import Publisher, open_redis
from stepway_tracking.worker.interceptor import TrackingInterceptor
from stepway_tracking.worker.recorder import Recorder

logger = logging.getLogger(__name__)


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

    `redact` takes secrets out of every JSON value before it is recorded. Raises SchemaError, which
    says what to run, where the tables are missing or are those of another version.
    """
    async with AsyncExitStack() as stack:
        pool = await open_pool(database_url, max_size=connections)
        stack.push_async_callback(pool.close)
        await _require_schema(pool)
        redis = open_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        yield TrackingPlugin(Store(pool, Publisher(redis), redact))


async def _require_schema(pool: asyncpg.Pool) -> None:
    try:
        problem = await schema_problem(pool)
    except UNREACHABLE as error:
        # A worker may start before Postgres does: steps wait for it.
        logger.warning("the schema is not checked, Postgres is out of reach: %r", error)
        return
    if problem:
        raise SchemaError(problem)


def _let_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    """The sandbox does not reload this library for each workflow."""
    runner = runner or SandboxedWorkflowRunner()
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner
    return replace(
        runner, restrictions=runner.restrictions.with_passthrough_modules("stepway_tracking")
    )
