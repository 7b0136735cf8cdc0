"""Latency of the same change in other systems, from its commit until every client has it."""

from __future__ import annotations

from benchmarks.initializations import LiveProject, marked
from benchmarks.measure import Comparison, Metrics, Rounds, Target, repeat
from benchmarks.peers import sides
from benchmarks.peers.sides import Peer
from benchmarks.stage import Stage
from benchmarks.streams import Change, Watched, alternate

ABOUT = (
    "From the commit of a step's change until each of 50 clients receives its bytes; two systems "
    "alternate, change by change. Polling asks the same API every second. " + sides.DURABILITY
)
POLLING = "polling each second"
AHEAD = Target(1.0)


async def run(stage: Stage) -> list[Comparison]:
    """Compare p50 and p99 with each peer."""
    clients = stage.sized(50, 3)
    api = await stage.api()
    project = await LiveProject.start(stage.pool, stage.redis)

    async def change(mark: int) -> float:
        return (await project.change(mark))[1]

    ours = await _watch(stage, api.port, project.events, clients, change)
    watched = {POLLING: await _watch(stage, api.port, project.snapshot, clients, change, 1.0)}
    for start in (sides.node, sides.dbos, sides.streams):
        peer = await start(stage)
        if peer is not None:
            path = await peer.side.ask("start")
            watched[peer.name] = await _watch(stage, peer.side.port, path, clients, _changing(peer))
    return await _compare(stage, ours, watched)


async def _compare(stage: Stage, ours: Watched, watched: dict[str, Watched]) -> list[Comparison]:
    found = []
    for name, theirs in watched.items():
        rounds = await _measure(stage, ours, theirs, 6 if name == POLLING else 20)
        for metric in ("p50", "p99"):
            found.append(Comparison(metric, "ms", name, rounds.pairs(metric), AHEAD))
    return found


async def _measure(stage: Stage, ours: Watched, theirs: Watched, changes: int) -> Rounds:
    await alternate([ours, theirs], 2, 0.02)

    async def both() -> tuple[Metrics, Metrics]:
        first, second = await alternate([ours, theirs], stage.sized(changes, 2), 0.02)
        return first, second

    return await repeat(both, stage.sized(6, 1), "p99")


def _changing(peer: Peer) -> Change:
    async def change(mark: int) -> float:
        _, committed = await peer.side.ask("change", mark=marked(mark))
        return float(committed)

    return change


async def _watch(
    stage: Stage, port: int, path: str, clients: int, change: Change, every: float = 0.0
) -> Watched:
    side = Watched(await stage.side("watchers"), clients, change)
    await side.watchers.ask("open", port=port, paths=[path], count=clients, every=every)
    return side
