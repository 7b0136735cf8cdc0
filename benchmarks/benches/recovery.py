"""The time until a step runs again after its worker was killed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks.initializations import blueprint, initialize
from benchmarks.measure import Comparison, Target
from benchmarks.stage import Stage
from stepway.blueprints.models import Blueprint, Retry

ABOUT = (
    "From kill -9 of the worker during a step until another worker runs the step again, against "
    "the heartbeat timeout plus the back-off of the step's retry."
)
PATIENCE = 60.0


async def run(stage: Stage) -> list[Comparison]:
    """Compare the seconds until the step runs again with the limit."""
    heartbeat, back_off = stage.sized((4.0, 1.0), (1.0, 0.2))
    pairs = []
    for number in range(stage.sized(5, 1)):
        file = stage.folder / f"starts-{number}"
        plan = _plan(file, heartbeat, back_off)
        pairs.append((await _kill(stage, plan, file), heartbeat + back_off))
    return [
        Comparison(
            "running again", "s", "heartbeat timeout + back-off", pairs, Target(1.2), limit=True
        )
    ]


def _plan(file: Path, heartbeat: float, back_off: float) -> Blueprint:
    plan = blueprint("beat", 1, file=str(file))
    step = plan.steps[0].model_copy(
        update={"heartbeat": heartbeat, "retry": Retry(initial_interval=back_off)}
    )
    return plan.model_copy(update={"steps": [step]})


async def _kill(stage: Stage, plan: Blueprint, file: Path) -> float:
    first = await stage.worker()
    queue = stage.settings.temporal_task_queue
    initialization = asyncio.create_task(initialize(stage.temporal, queue, plan))
    await _starts(file, 1)
    # Kill the worker between two heartbeats that reach Temporal.
    await asyncio.sleep(1.5)
    second = await stage.worker()
    killed = time.monotonic()
    await first.kill()
    starts = await _starts(file, 2)
    # Do not wait for its end: the killed worker's sticky queue delays the next workflow task.
    initialization.cancel()
    await second.stop()
    return starts[1] - killed


async def _starts(file: Path, count: int) -> list[float]:
    """Wait until there are `count` attempts; returns their start times. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while True:
            starts = _read(file)
            if len(starts) >= count:
                return starts
            await asyncio.sleep(0.01)


def _read(file: Path) -> list[float]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [float(line.split()[1]) for line in lines]
