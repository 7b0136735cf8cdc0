"""Prefect: flows of tasks, with its own server."""

# The peer's packages are not in this project's environment.
# mypy: disable-error-code="import-not-found, untyped-decorator"

from __future__ import annotations

import asyncio
import time

from prefect import flow, task

from benchmarks.sides.answering import answer

STEPS = 8


@task
async def pause(seconds: float) -> str:
    """Sleep for `seconds`, like a call to another system."""
    await asyncio.sleep(seconds)
    return "done"


@flow
async def run_all(seconds: float) -> str:
    """Run the steps."""
    for _ in range(STEPS):
        await pause(seconds)
    return "active"


async def run(projects: int, seconds: float) -> float:
    """Run `projects` flows in parallel; returns the seconds until the last has ended."""
    began = time.monotonic()
    await asyncio.gather(*(run_all(seconds) for _ in range(projects)))
    return time.monotonic() - began


if __name__ == "__main__":
    asyncio.run(answer({"run": run}))
