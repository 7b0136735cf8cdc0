"""The memory of an idle stream."""

from __future__ import annotations

import asyncio

from benchmarks.child import Child
from benchmarks.initializations import LiveProject
from benchmarks.measure import Comparison, Metrics, Target, interleave
from benchmarks.stage import Stage

ABOUT = (
    "Resident memory that an idle stream adds to the process that serves it, against a bare ASGI "
    "stream on uvicorn. Each pair uses new processes, warmed up by their first streams."
)
SETTLE = 1.0


async def run(stage: Stage) -> list[Comparison]:
    """Compare the memory of a stream, in KiB."""
    project = await LiveProject.start(stage.pool, stage.redis)
    clients = stage.sized(4000, 50)
    rounds = await interleave(
        lambda: _ours(stage, project.events, clients),
        lambda: _bare(stage, clients),
        stage.sized(3, 1),
        "memory",
    )
    pairs = rounds.pairs("memory")
    return [Comparison("memory of an idle stream", "KiB", "a bare stream", pairs, Target(1.2))]


async def _ours(stage: Stage, path: str, clients: int) -> Metrics:
    return await _memory(stage, await stage.api(), path, clients)


async def _bare(stage: Stage, clients: int) -> Metrics:
    return await _memory(stage, await stage.side("floor"), "/", clients)


async def _memory(stage: Stage, server: Child, path: str, clients: int) -> Metrics:
    watchers = await stage.side("watchers")
    await watchers.ask("open", port=server.port, paths=[path], count=clients // 10)
    await asyncio.sleep(SETTLE)
    before = server.memory()
    await watchers.ask("open", port=server.port, paths=[path], count=clients)
    await asyncio.sleep(SETTLE)
    added = server.memory() - before
    await watchers.stop()
    await server.stop()
    return {"memory": max(added, 1) / clients / 1024}
