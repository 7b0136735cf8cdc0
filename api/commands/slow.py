"""When a running step counts as slow."""

from __future__ import annotations

from stepway_tracking.queries.statistics import Durations
from stepway_tracking.record import facts

SLOW_AT_LEAST = 500
"""Minimum milliseconds before a step counts as slow, whatever its p95 is."""


async def slow_after(durations: Durations, blueprint: str) -> dict[str, int]:
    """Return after how many milliseconds each step is slow, if it has enough earlier runs."""
    usual = await durations.of(blueprint)
    return {
        step: max(one.p95, SLOW_AT_LEAST)
        for step, one in usual.items()
        if one.samples >= facts.FEWEST_FOR_SLOW
    }
