"""Snapshots per second of the API."""

from __future__ import annotations

from benchmarks.initializations import LiveProject
from benchmarks.measure import Comparison, Target, interleave
from benchmarks.stage import Stage

ABOUT = (
    "`GET …/initialization` of 200 projects over 16 persistent connections, against a bare FastAPI "
    "route that sends the same bytes from one asyncpg query, each served by one process."
)
CONNECTIONS = 16


async def run(stage: Stage) -> list[Comparison]:
    """Compare requests per second and p99."""
    count, seconds = stage.sized((200, 4.0), (5, 0.5))
    projects = [await LiveProject.start(stage.pool, stage.redis) for _ in range(count)]
    api, bare = await stage.api(), await stage.side("bare_snapshot")
    load = await stage.side("requests")

    async def measure(port: int, paths: list[str]) -> dict[str, float]:
        found: dict[str, float] = await load.ask(
            "load", port=port, paths=paths, connections=CONNECTIONS, seconds=seconds
        )
        return found

    rounds = await interleave(
        lambda: measure(api.port, [each.snapshot for each in projects]),
        lambda: measure(bare.port, [f"/{each.project_id}" for each in projects]),
        stage.sized(5, 1),
        "rate",
    )
    target = Target(0.8, at_least=True)
    return [
        Comparison("requests", "/s", "a bare route", rounds.pairs("rate"), target),
        Comparison("p99", "ms", "a bare route", rounds.pairs("p99")),
    ]
