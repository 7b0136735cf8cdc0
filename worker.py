"""The worker: runs workflows and steps. `python worker.py` is the same as `stepway worker`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxRestrictions

from stepway.activities.beats import release_threads
from stepway.activities.registry import Resources, StepActivity, load_steps
from stepway.activities.step_inputs import step_payload_converter
from stepway.runtime.data_converter import data_converter
from stepway.runtime.postgres import open_engine
from stepway.runtime.supervision import depending_on
from stepway.runtime.temporal import connect_temporal
from stepway.runtime.worker_settings import WorkerSettings
from stepway.vault.keyring import open_keyring
from stepway.vault.redacting_interceptor import RedactingInterceptor
from stepway.vault.redaction import PROCESS, redact_value
from stepway.vault.references import References
from stepway.vault.sealing import SealedParameters
from stepway.vault.vault import Vault
from stepway.workflows.engine.sandbox import ContextFreeSandbox
from stepway.workflows.initialize_project import InitializeProject
from stepway.workflows.model import messages
from stepway.workflows.model.queues import DEFAULT, task_queue, waits_of
from stepway.workflows.reconcile import ReconcileInitializations
from stepway_tracking.logs.writer import open_logs
from stepway_tracking.postgres import close_pool, open_pool
from stepway_tracking.reconcile.reconciler import Reconciler
from stepway_tracking.record.store import Store
from stepway_tracking.stream.publisher import Publisher, open_redis
from stepway_tracking.worker.plugin import TrackingPlugin

logger = logging.getLogger(__name__)

WAITS_AT_ONCE = 5_000
"""Steps that only wait, in parallel for each queue; they take a few kB each."""

GRACE = timedelta(seconds=10)
"""Time that running steps have to finish at shutdown."""

CANCELLING = timedelta(seconds=3)
"""How long cancelled steps, and writes that wait for Postgres, may take after that."""

HEARTBEATS = timedelta(seconds=1)
"""Minimum time between two heartbeats of a step to Temporal; each also delivers a cancellation."""

RUNNER = ContextFreeSandbox(
    SandboxRestrictions.default.with_passthrough_modules("stepway", "stepway_tracking")
)


@asynccontextmanager
async def running_worker(settings: WorkerSettings) -> AsyncIterator[Sequence[Worker]]:
    """Workers that run while the context is open: two for each of the queues."""
    async with AsyncExitStack() as stack:
        engine = open_engine(settings.sqlalchemy_url)
        stack.push_async_callback(engine.dispose)
        stack.callback(release_threads)
        redis = open_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        resources = Resources(settings, engine, redis)
        stack.push_async_callback(resources.git_hosts.close)
        steps = load_steps(resources)
        client = await connect_temporal(settings, payloads=step_payload_converter(steps))
        pool = await open_pool(settings.database_url, max_size=20)
        stack.push_async_callback(close_pool, pool)
        threads = _open_threads(stack, settings.steps_at_once, "step")
        waiting = _open_threads(stack, WAITS_AT_ONCE, "wait")
        publisher = Publisher(redis)
        stack.push_async_callback(publisher.close)
        keyring = open_keyring(settings.keys)
        store = Store(pool, publisher, redact_value, SealedParameters(keyring).conceal)
        references = References(keyring, Vault(engine, keyring).find)
        # Results in the record are not signed: nobody else can write to Postgres, and they outlive
        # the key.
        logs = await stack.enter_async_context(
            open_logs(
                pool,
                publisher,
                PROCESS,
                days=settings.log_days,
                blobs=settings.log_blobs(),
            )
        )
        plugin = TrackingPlugin(store, data_converter(keyring), logs)
        shared = partial(
            Worker,
            client,
            max_heartbeat_throttle_interval=HEARTBEATS,
            default_heartbeat_throttle_interval=HEARTBEATS,
            plugins=[plugin],
            interceptors=[RedactingInterceptor(references)],
            workflow_runner=RUNNER,
            graceful_shutdown_timeout=GRACE,
        )
        sweep = Reconciler(pool, store, client, [messages.WORKFLOW]).activities()
        pools = (threads, waiting)
        workers = list(_workers(settings, shared, pools, list(steps.values()), sweep))
        running = asyncio.create_task(_run(workers))
        stack.push_async_callback(_shut_down, workers, running)
        async with depending_on(running, "The worker"):
            yield workers


def _open_threads(stack: AsyncExitStack, most: int, name: str) -> ThreadPoolExecutor:
    threads = ThreadPoolExecutor(most, name)
    # Not waited for: a step may ignore that it was cancelled.
    stack.callback(threads.shutdown, wait=False, cancel_futures=True)
    return threads


def _workers(
    settings: WorkerSettings,
    shared: Callable[..., Worker],
    pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor],
    steps: Sequence[StepActivity],
    sweep: Sequence[StepActivity],
) -> Iterator[Worker]:
    """Make two workers a queue: one for its steps, one for its steps that only wait."""
    for name in settings.step_queues or [DEFAULT]:
        queue, workflows, activities = name, [], [*steps]
        if name == DEFAULT:
            queue, activities = "", [*steps, *sweep]
            workflows = [InitializeProject, ReconcileInitializations]
        yield shared(
            task_queue=task_queue(settings.temporal_task_queue, queue),
            workflows=workflows,
            activities=activities,
            activity_executor=pools[0],
            max_concurrent_activities=settings.steps_at_once,
        )
        yield shared(
            task_queue=task_queue(settings.temporal_task_queue, waits_of(queue)),
            activities=steps,
            activity_executor=pools[1],
            max_concurrent_activities=WAITS_AT_ONCE,
        )


async def _run(workers: Sequence[Worker]) -> None:
    """Run the workers; if one ends, stop the others. Raises the error of the first that fails."""

    async def run(worker: Worker) -> None:
        await worker.run()
        await asyncio.gather(*(other.shutdown() for other in workers))

    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(run(worker))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _shut_down(workers: Sequence[Worker], running: asyncio.Task[None]) -> None:
    """Stop the workers; abandon steps and writes that take too long. Temporal repeats them."""
    asking = asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.wait([running], timeout=(GRACE + CANCELLING).total_seconds())
    asking.cancel()
    if not running.done():
        logger.warning("The worker's steps and writes did not stop in time; they are left behind")
    elif not running.cancelled() and (error := running.exception()):
        logger.warning("The worker ended with an error: %r", error)


if __name__ == "__main__":
    from stepway.cli.main import main

    main(["worker"])
