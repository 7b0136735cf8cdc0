"""Measures the delay of a worker's event loop; workers load it by STEPWAY_STEP_MODULES.

The worker writes each second's delays to the file that BENCH_LOOP_DELAYS names.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stepway.activities.registry import Resources

PAUSE = 0.01
"""Seconds between two timers."""

VARIABLE = "BENCH_LOOP_DELAYS"

_measuring: set[asyncio.Task[None]] = set()


def step_activities(resources: Resources) -> Sequence[Callable[..., Any]]:
    """Start to measure; there are no activities."""
    if file := os.environ.get(VARIABLE):
        _measuring.add(asyncio.get_running_loop().create_task(_measure(Path(file))))
    return ()


def delays(file: Path, since: float, until: float) -> list[float]:
    """The delays in ms between two times of the monotonic clock."""
    rows = (line.split() for line in file.read_text().splitlines())
    return [float(delay) for at, delay in rows if since <= float(at) <= until]


async def _measure(file: Path) -> None:
    rows: list[str] = []
    written = time.monotonic()
    while True:
        due = time.monotonic() + PAUSE
        await asyncio.sleep(PAUSE)
        now = time.monotonic()
        rows.append(f"{now:.3f} {max(0.0, now - due) * 1000:.3f}\n")
        if now - written >= 1:
            with file.open("a") as measured:
                measured.writelines(rows)
            rows, written = [], now
