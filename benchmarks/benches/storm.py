"""Thousands of clients whose streams are cut, and which reconnect at the same moment."""

from __future__ import annotations

import asyncio
import time

import httpx

from benchmarks.initializations import LiveProject
from benchmarks.measure import Comparison, Target
from benchmarks.stage import Stage
from benchmarks.streams import MARKS

ABOUT = (
    "All streams of 10 projects are cut at once and reopened at once, without a last id, so that "
    "each needs a snapshot. All are live again when a later change has reached every one. The "
    "API's own metric counts the snapshot queries."
)
PROJECTS = 10
SHARED_FOR = 0.1
"""Seconds in which all clients of a project may cause one snapshot query."""


async def run(stage: Stage) -> list[Comparison]:
    """Compare the seconds until all are live, and the snapshot queries, with their limits."""
    clients = stage.sized(5000, 100)
    projects = [await LiveProject.start(stage.pool, stage.redis) for _ in range(PROJECTS)]
    api, watchers = await stage.api(), await stage.side("watchers")
    paths = [each.events for each in projects]
    await watchers.ask("open", port=api.port, paths=paths, count=clients)
    live, queries = [], []
    for _ in range(stage.sized(5, 1)):
        await watchers.ask("close")
        before = await _snapshots(api.port)
        began = time.monotonic()
        await watchers.ask("open", port=api.port, paths=paths, count=clients, at_once=True)
        opened = time.monotonic() - began
        mark = next(MARKS)
        await watchers.ask("expect", mark=mark)
        await asyncio.gather(*(each.change(mark) for each in projects))
        last = max(await watchers.ask("received", count=clients, brief=True))
        live.append((last - began, 5.0))
        allowed = PROJECTS * (1 + opened / SHARED_FOR)
        queries.append((await _snapshots(api.port) - before, allowed))
    return [
        Comparison("all live again", "s", "5 s", live, Target(1.0), limit=True),
        Comparison(
            "snapshot queries", "", "one a project and 100 ms", queries, Target(1.0), limit=True
        ),
    ]


async def _snapshots(port: int) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name == "stepway_snapshots_read_total":
            return float(value)
    raise LookupError("the API counts no snapshots")
