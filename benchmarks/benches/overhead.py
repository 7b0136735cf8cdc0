"""What recording and telling cost: eight no-op steps with all of it, and on bare Temporal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

from benchmarks.initializations import blueprint, initialize, run_bare
from benchmarks.measure import Comparison, Metrics, Target, interleave
from benchmarks.stage import Stage

ABOUT = (
    "8 no-op steps, one after the other, with every row, event and publish; against the same steps "
    "on bare Temporal, on the same server and with the same worker settings. Throughput with "
    f"{100} initializations at once, latency of one alone."
)

Run = Callable[[], Awaitable[object]]


async def run(stage: Stage) -> list[Comparison]:
    """Throughput and latency."""
    await stage.worker()
    await stage.side("bare_worker")
    queue = stage.settings.temporal_task_queue
    plan = blueprint("noop")

    async def ours() -> object:
        return await initialize(stage.temporal, queue, plan)

    async def bare() -> object:
        await run_bare(stage.temporal, "noop")
        return None

    at_once, alone = stage.sized((100, 20), (5, 3))
    await asyncio.gather(*(once() for once in [ours, bare] for _ in range(3)))
    single = await interleave(
        lambda: _latency(ours, alone), lambda: _latency(bare, alone), stage.sized(6, 1), "latency"
    )
    many = await interleave(
        lambda: _throughput(ours, at_once),
        lambda: _throughput(bare, at_once),
        stage.sized(6, 1),
        "rate",
    )
    return [
        Comparison(
            "throughput",
            "initializations/s",
            "bare Temporal",
            many.pairs("rate"),
            Target(0.9, at_least=True),
        ),
        Comparison("latency of one", "ms", "bare Temporal", single.pairs("latency"), Target(1.1)),
    ]


async def _throughput(once: Run, count: int) -> Metrics:
    began = time.monotonic()
    await asyncio.gather(*(once() for _ in range(count)))
    return {"rate": count / (time.monotonic() - began)}


async def _latency(once: Run, count: int) -> Metrics:
    took = []
    for _ in range(count):
        began = time.monotonic()
        await once()
        took.append(time.monotonic() - began)
    return {"latency": median(took) * 1000}
