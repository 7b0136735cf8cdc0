"""Complete runs in other systems."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from benchmarks.initializations import blueprint, initialize
from benchmarks.measure import Comparison, Metrics, Target, interleave
from benchmarks.peers import sides
from benchmarks.peers.sides import Peer
from benchmarks.stage import Stage

SECONDS = 0.05
ABOUT = (
    "50 projects at once, each with 8 steps of 50 ms, the time of a call to another system, until "
    "the last has ended and every row is durable. " + sides.DURABILITY
)


async def run(stage: Stage) -> list[Comparison]:
    """Compare the seconds until the last project has ended with each peer."""
    projects = stage.sized(50, 3)
    queue = stage.settings.temporal_task_queue
    plan = blueprint("pause", seconds=SECONDS)
    await stage.worker()

    async def ours() -> Metrics:
        began = time.monotonic()
        await asyncio.gather(*(initialize(stage.temporal, queue, plan) for _ in range(projects)))
        return {"seconds": time.monotonic() - began}

    await ours()
    found = []
    for start in (sides.node, sides.dbos, sides.streams, sides.prefect):
        peer = await start(stage)
        if peer is not None:
            await _run(peer, 3)
            count = stage.sized(3 if peer.name == sides.PREFECT else 4, 1)
            rounds = await interleave(ours, partial(_run, peer, projects), count, "seconds")
            target = Target(1.0) if peer.durable else None
            pairs = rounds.pairs("seconds")
            found.append(Comparison("time for all", "s", peer.name, pairs, target))
            await peer.side.stop()
    return found


async def _run(peer: Peer, projects: int) -> Metrics:
    return {"seconds": await peer.side.ask("run", projects=projects, seconds=SECONDS)}
