"""The CPU cost of one delivery in the process that serves the streams."""

from __future__ import annotations

import asyncio

from benchmarks.child import Child
from benchmarks.initializations import LiveProject
from benchmarks.measure import Comparison, Metrics, Target, interleave
from benchmarks.peers.install import python_peer
from benchmarks.stage import Stage
from benchmarks.streams import Change, Watched, publish

ABOUT = (
    "One change to many streams of one process: deliveries per second of the serving process' CPU "
    "time. Against bare ASGI streams that share one message, and against fastapi.sse and "
    "sse-starlette in their usual setup, with one Redis subscription per client (at 1,000 streams: "
    "an unconfigured Valkey does not accept 10,000 subscriptions)."
)
SETTLE = 0.3


async def run(stage: Stage) -> list[Comparison]:
    """Compare the deliveries per CPU second with each peer."""
    project = await LiveProject.start(stage.pool, stage.redis)
    few, many = stage.sized((1_000, 10_000), (10, 20))

    async def change(mark: int) -> float:
        return (await project.change(mark))[1]

    api = await stage.api()
    found = []
    for clients in (few, many):
        ours = await _watch(stage, api, project.events, clients, change)
        others = {"bare ASGI streams": (await _floor(stage, clients), Target(0.8, at_least=True))}
        if clients == few:
            for name in ("fastapi.sse", "sse-starlette"):
                side = await _usual(stage, name, clients)
                if side is not None:
                    others[name] = (side, Target(5.0, at_least=True))
        for name, (theirs, target) in others.items():
            pairs = await _compare(stage, (api, ours), theirs)
            label = f"deliveries, {clients:,} streams"
            found.append(Comparison(label, "/CPU second", name, pairs, target))
        await _leave(ours, *(side for (_, side), _ in others.values()))
    return found


async def _compare(
    stage: Stage, ours: tuple[Child, Watched], theirs: tuple[Child, Watched]
) -> list[tuple[float, float]]:
    changes = stage.sized(max(10, 40_000 // ours[1].clients), 5)
    rounds = await interleave(
        lambda: _cost(*ours, changes), lambda: _cost(*theirs, changes), stage.sized(4, 1), "rate"
    )
    return rounds.pairs("rate")


async def _watch(stage: Stage, server: Child, path: str, clients: int, change: Change) -> Watched:
    side = Watched(await stage.side("watchers"), clients, change)
    await side.watchers.ask("open", port=server.port, paths=[path], count=clients)
    return side


async def _floor(stage: Stage, clients: int) -> tuple[Child, Watched]:
    server = await stage.side("floor")
    return server, await _watch(stage, server, "/", clients, publish(stage.redis))


async def _usual(stage: Stage, name: str, clients: int) -> tuple[Child, Watched] | None:
    python = python_peer("sse", stage.note)
    if python is None:
        return None
    server = await stage.run([str(python), "-m", "benchmarks.sides.usual_sse", name])
    return server, await _watch(stage, server, "/events", clients, publish(stage.redis))


async def _cost(server: Child, side: Watched, changes: int) -> Metrics:
    await asyncio.sleep(SETTLE)
    before = server.cpu_seconds()
    for _ in range(changes):
        await side.deliver_and_wait()
    # The kernel counts CPU time in units of 10 ms, so a small run may show 0.
    return {"rate": changes * side.clients / max(server.cpu_seconds() - before, 0.01)}


async def _leave(*sides: Watched) -> None:
    for side in sides:
        await side.watchers.ask("close")
    await asyncio.sleep(1)
