"""The benchmark suite alternates sides, reports noise and writes its results."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.__main__ import BENCHES
from benchmarks.measure import Comparison, Target, interleave
from benchmarks.report import write_page
from benchmarks.results import Result, load, save
from benchmarks.stage import Stage, on_stage
from tests.support.processes import run

ROOT = Path(__file__).parents[3]
PATIENCE = 600.0


SMALL = [name for name in BENCHES if not name.startswith("peers") and name != "scale"]
"""Not the peers, whose packages other registries hold, and not the simulation of a whole day."""

APART = ["recovery", "page", "logs-page"]
"""Benches for a second stage in parallel; the first of them must be alone with its workers."""


async def test_each_bench_runs_small() -> None:
    migrating = asyncio.Lock()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(
            run_on_one_stage([name for name in SMALL if name not in APART], migrating),
            run_on_one_stage(APART, migrating),
        )


async def run_on_one_stage(names: list[str], migrating: asyncio.Lock) -> None:
    """Run benches one after the other; a process migrates one database at a time."""
    async with AsyncExitStack() as stack:
        async with migrating:
            stage = await stack.enter_async_context(on_stage(quick=True))
        for name in names:
            await run_small(name, stage)


async def run_small(name: str, stage: Stage) -> None:
    """Run a bench; asserts that it has results."""
    module = importlib.import_module(f"benchmarks.benches.{name.replace('-', '_')}")
    found = await module.run(stage)
    assert found, name
    assert all(each.ratio > 0 for each in found), name


async def test_unknown_bench_is_named_with_those_there_are() -> None:
    status, said = await run(
        *(sys.executable, "-m", "benchmarks", "nonsense"), cwd=ROOT, patience=PATIENCE
    )
    assert status == 2
    assert "no bench nonsense" in said
    assert "overhead" in said


async def test_sides_take_turns_and_noisy_pairs_are_repeated() -> None:
    order: list[str] = []
    values = iter([1.0, 9.0, 1.0, 9.0])

    async def ours() -> dict[str, float]:
        order.append("ours")
        return {"rate": next(values)}

    async def theirs() -> dict[str, float]:
        order.append("theirs")
        return {"rate": 1.0}

    found = await interleave(ours, theirs, 2, "rate")
    assert order == ["ours", "theirs", "theirs", "ours"] * 2
    assert found.pairs("rate") == [(1.0, 1.0), (9.0, 1.0)] * 2


def test_page_is_made_of_the_kept_results_alone(tmp_path: Path) -> None:
    missed = Comparison("p99", "ms", "the floor", [(3.0, 1.0), (5.0, 2.0)], Target(2.0))
    save(Result("update-latency", [missed], ["one note"]), tmp_path)
    kept = load("update-latency", tmp_path)
    assert kept is not None
    assert not kept.reached
    write_page([kept], tmp_path / "benchmarks.md")
    page = (tmp_path / "benchmarks.md").read_text()
    assert "2.75x (2.50–3.00)" in page
    assert "**missed**" in page
    assert "- one note" in page
    assert "<svg" in (tmp_path / "benchmarks" / "update-latency.svg").read_text()
    assert json.loads((tmp_path / "update-latency.json").read_text())["bench"] == "update-latency"
