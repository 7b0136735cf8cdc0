"""The cost of one initialization by part, and the effect of more workers and API processes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.child import Child
from benchmarks.cpu import servers_cpu
from benchmarks.initializations import LiveProject, blueprint, initialize
from benchmarks.measure import Comparison, Metrics, interleave
from benchmarks.stage import Stage
from benchmarks.streams import MARKS
from stepway.workflows.model import messages

ABOUT = (
    "The cost of one initialization of 8 no-op steps, for docs/explanation/scale.md; the same load "
    "on three workers and on one; and changes that the clients of two API processes receive."
)


async def run(stage: Stage) -> list[Comparison]:
    """Store the costs as facts; compare three workers with one."""
    count = stage.sized(100, 5)
    queue = stage.settings.temporal_task_queue
    plan = blueprint("noop")
    first = await stage.worker()

    async def throughput() -> Metrics:
        began = time.monotonic()
        await asyncio.gather(*(initialize(stage.temporal, queue, plan) for _ in range(count)))
        return {"rate": count / (time.monotonic() - began)}

    await throughput()
    await _measure_cost(stage, first, count, throughput)
    await _watch_over_two(stage)

    async def on_three() -> Metrics:
        more = [await stage.worker() for _ in range(2)]
        found = await throughput()
        for each in more:
            await each.stop()
        return found

    rounds = await interleave(on_three, throughput, stage.sized(3, 1), "rate")
    name = "throughput of three workers"
    return [Comparison(name, "initializations/s", "one worker", rounds.pairs("rate"))]


async def _measure_cost(stage: Stage, worker: Child, count: int, load: Any) -> None:
    before = await _counters(stage, worker)
    await load()
    # Postgres updates its statistics about a second later.
    await asyncio.sleep(1.5)
    after = await _counters(stage, worker)
    stage.facts |= {name: (after[name] - before[name]) / count for name in after}
    project = await initialize(
        stage.temporal, stage.settings.temporal_task_queue, blueprint("noop")
    )
    run = await stage.temporal.get_workflow_handle(messages.workflow_id(project)).describe()
    stage.facts["history events"] = run.history_length
    stage.facts["history bytes"] = run.raw_description.workflow_execution_info.history_size_bytes


async def _counters(stage: Stage, worker: Child) -> dict[str, float]:
    row = await stage.pool.fetchrow(
        """
        SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS wal,
               (SELECT xact_commit FROM pg_stat_database
                WHERE datname = current_database())::float8 AS commits,
               (SELECT count(*) FROM project_initialization_steps)::float8 AS steps,
               (SELECT count(*) FROM project_initialization_attempts)::float8 AS attempts,
               (SELECT count(*) FROM project_initialization_events)::float8 AS events,
               pg_database_size(current_database())::float8 AS size
        """
    )
    stats: Any = await stage.redis.info("commandstats")
    found = {
        "WAL bytes": row["wal"],
        "commits": row["commits"],
        "step rows": row["steps"],
        "attempt rows": row["attempts"],
        "event rows": row["events"],
        "bytes on disk": row["size"],
        "Redis messages": float(stats.get("cmdstat_publish", {}).get("calls", 0)),
        "worker CPU seconds": worker.cpu_seconds(),
    }
    return found | {f"{part} CPU seconds": used for part, used in servers_cpu().items()}


async def _watch_over_two(stage: Stage) -> None:
    """Check that the clients of two API processes receive every change. Raises TimeoutError."""
    project = await LiveProject.start(stage.pool, stage.redis)
    clients, changes = stage.sized((500, 100), (5, 3))
    both = []
    for _ in range(2):
        api, watchers = await stage.api(), await stage.side("watchers")
        await watchers.ask("open", port=api.port, paths=[project.events], count=clients)
        both.append(watchers)
    for _ in range(changes):
        mark = next(MARKS)
        await asyncio.gather(*(each.ask("expect", mark=mark) for each in both))
        await project.change(mark)
        await asyncio.gather(*(each.ask("received", count=clients, brief=True) for each in both))
    stage.facts["deliveries over two API processes"] = 2 * clients * changes
    for each in both:
        await each.ask("close")
