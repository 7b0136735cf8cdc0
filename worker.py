"""The worker: runs the workflows and their steps. `python worker.py` is `stepway worker`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxRestrictions

from activities.registry import Resources, load_steps
from tracking.database import open_engine, open_pool
from tracking.events import Publisher, open_redis
from tracking.plugin import TrackingPlugin
from tracking.reconciler import Reconciler
from tracking.settings import Settings
from tracking.store import Store
from tracking.temporal import connect_temporal
from workflows.initialize_project import InitializeProject
from workflows.reconcile import ReconcileInitializations
from workflows.sandbox import ContextFreeSandbox

STEPS_AT_ONCE = 50
"""Steps that one worker runs at the same time."""

GRACE = timedelta(seconds=10)
"""What a step that runs at shutdown has left to finish."""

HEARTBEATS = timedelta(seconds=1)
"""At most one heartbeat a step in this time goes to Temporal; a cancel is heard with the next."""

RUNNER = ContextFreeSandbox(
    SandboxRestrictions.default.with_passthrough_modules("tracking", "workflows")
)


@asynccontextmanager
async def running_worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker that polls while the context is open."""
    async with AsyncExitStack() as stack:
        client = await connect_temporal(settings)
        pool = await open_pool(settings.database_url, max_size=20)
        stack.push_async_callback(pool.close)
        engine = open_engine(settings.sqlalchemy_url)
        stack.push_async_callback(engine.dispose)
        redis = open_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        threads = stack.enter_context(ThreadPoolExecutor(STEPS_AT_ONCE, "step"))
        store = Store(pool, Publisher(redis))
        steps = load_steps(Resources(settings, engine), settings.step_modules)
        worker = Worker(
            client,
            task_queue=settings.temporal_task_queue,
            workflows=[InitializeProject, ReconcileInitializations],
            activities=[
                *steps.values(),
                *Reconciler(pool, store, client).activities(),
            ],
            activity_executor=threads,
            max_concurrent_activities=STEPS_AT_ONCE,
            max_heartbeat_throttle_interval=HEARTBEATS,
            default_heartbeat_throttle_interval=HEARTBEATS,
            plugins=[TrackingPlugin(store)],
            workflow_runner=RUNNER,
            graceful_shutdown_timeout=GRACE,
        )
        await stack.enter_async_context(worker)
        yield worker


if __name__ == "__main__":
    from cli.main import main

    main(["worker"])
