"""The cost of recording and publishing: eight no-op steps, against bare Temporal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.child import Child
from benchmarks.cpu import servers_cpu
from benchmarks.initializations import blueprint, initialize, run_bare
from benchmarks.measure import Comparison, Metrics, Rounds, Target, interleave
from benchmarks.stage import Stage

ABOUT = (
    "8 no-op steps in sequence, with every row, event and publish, against the same steps on bare "
    "Temporal, on the same server and with the same worker settings. Throughput with 100 "
    "initializations at once, latency of a single one; the costs are those of the 100."
)

Run = Callable[[], Awaitable[object]]


async def run(stage: Stage) -> list[Comparison]:
    """Compare throughput, latency and CPU time."""
    queue = stage.settings.temporal_task_queue
    plan = blueprint("noop")

    async def initialization() -> object:
        return await initialize(stage.temporal, queue, plan)

    async def bare_run() -> object:
        await run_bare(stage.bare, "noop")
        return None

    ours = Side(await stage.worker(), initialization)
    bare = Side(await stage.side("bare_worker"), bare_run)
    at_once, alone = stage.sized((100, 20), (5, 3))
    await asyncio.gather(*(side.once() for side in [ours, bare] for _ in range(3)))
    pairs = stage.sized(6, 1)
    single = await interleave(
        lambda: ours.latency(alone), lambda: bare.latency(alone), pairs, "latency"
    )
    many = await interleave(
        lambda: ours.throughput(at_once), lambda: bare.throughput(at_once), pairs, "rate"
    )
    each = "CPU ms/initialization"
    return [
        _against(many, "throughput", "initializations/s", "rate", Target(0.9, at_least=True)),
        _against(single, "latency of one", "ms", "latency", Target(1.1)),
        _against(many, "cost of the worker", each, "worker"),
        _against(many, "cost of Temporal", each, "temporal"),
        _against(many, "cost of all servers", each, "servers"),
    ]


def _against(
    rounds: Rounds, name: str, unit: str, metric: str, target: Target | None = None
) -> Comparison:
    return Comparison(name, unit, "bare Temporal", rounds.pairs(metric), target)


@dataclass(frozen=True)
class Side:
    """A worker, and a function that runs one initialization on it."""

    worker: Child
    once: Run

    async def throughput(self, count: int) -> Metrics:
        """Initializations per second with `count` in parallel, and the CPU ms of one."""
        worker, servers = self.worker.cpu_seconds(), servers_cpu()
        began = time.monotonic()
        await asyncio.gather(*(self.once() for _ in range(count)))
        rate = count / (time.monotonic() - began)
        spent = servers_cpu() - servers
        return {
            "rate": rate,
            "worker": (self.worker.cpu_seconds() - worker) / count * 1000,
            "temporal": spent["temporal"] / count * 1000,
            "servers": spent.total() / count * 1000,
        }

    async def latency(self, count: int) -> Metrics:
        """The median latency of a single initialization, in ms."""
        took = []
        for _ in range(count):
            began = time.monotonic()
            await self.once()
            took.append(time.monotonic() - began)
        return {"latency": median(took) * 1000}
