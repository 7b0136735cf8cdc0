"""Latency from the commit of a step's change until every client has it."""

from __future__ import annotations

from benchmarks.initializations import LiveProject
from benchmarks.measure import Comparison, Metrics, Rounds, Target, repeat
from benchmarks.stage import Stage
from benchmarks.streams import Watched, alternate, publish

ABOUT = (
    "From the commit of a step's change until an SSE client receives its bytes, over all clients "
    "of that project. The floor is a Redis publish and receive, and a bare ASGI write per client. "
    "Changes of the two sides alternate, each with the same number of clients and its own process."
)


async def run(stage: Stage) -> list[Comparison]:
    """Compare p50 and p99, with few and with many clients."""
    api, floor = await stage.api(), await stage.side("floor")
    found = []
    for clients in stage.sized((50, 1000), (5,)):
        rounds = await _measure(stage, api.port, floor.port, clients)
        for metric, target in (("p50", None), ("p99", Target(2.0))):
            name = f"{metric}, {clients:,} watchers"
            found.append(Comparison(name, "ms", "the floor", rounds.pairs(metric), target))
    return found


async def _measure(stage: Stage, api: int, floor: int, clients: int) -> Rounds:
    project = await LiveProject.start(stage.pool, stage.redis)

    async def change(mark: int) -> float:
        return (await project.change(mark))[1]

    ours = Watched(await stage.side("watchers"), clients, change)
    theirs = Watched(await stage.side("watchers"), clients, publish(stage.redis))
    await ours.watchers.ask("open", port=api, paths=[project.events], count=clients)
    await theirs.watchers.ask("open", port=floor, paths=["/"], count=clients)
    await alternate([ours, theirs], 5, 0.02)
    changes = stage.sized(40, 3)

    async def both() -> tuple[Metrics, Metrics]:
        first, second = await alternate([ours, theirs], changes, 0.02)
        return first, second

    rounds = await repeat(both, stage.sized(9, 1), "p99")
    for side in (ours, theirs):
        await side.watchers.ask("close")
    return rounds
