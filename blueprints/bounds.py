"""The largest and smallest numbers that a blueprint may have.

They are checked when a file is loaded, and not when a kept blueprint is read for a retry.
"""

from __future__ import annotations

from collections.abc import Iterator

from stepway.blueprints.models import DAY, Blueprint, Step
from stepway.blueprints.schema import Problem
from stepway.blueprints.source import Place

YEAR = 365 * DAY
MOST_STEPS = 1000
MOST_WEIGHT = 1_000_000
MOST_ATTEMPTS = 1_000_000
LARGEST_COEFFICIENT = 100.0
SHORTEST_HEARTBEAT = 0.1
SHORTEST_TIME = 0.001


def bound_problems(blueprint: Blueprint) -> Iterator[Problem]:
    """The numbers that are out of bounds, each with its place in the file."""
    yield from _seconds(("time_limit",), blueprint.time_limit)
    if len(blueprint.steps) > MOST_STEPS:
        yield ("steps",), f"{len(blueprint.steps)} steps; at most {MOST_STEPS} are allowed"
    for index, step in enumerate(blueprint.steps):
        yield from _of_step(("steps", index), step)


def _of_step(place: Place, step: Step) -> Iterator[Problem]:
    yield from _seconds((*place, "timeout"), step.timeout)
    yield from _seconds((*place, "heartbeat"), step.heartbeat, SHORTEST_HEARTBEAT)
    yield from _at_most((*place, "weight"), step.weight, MOST_WEIGHT)
    place, retry = (*place, "retry"), step.retry
    yield from _seconds((*place, "initial_interval"), retry.initial_interval)
    yield from _seconds((*place, "maximum_interval"), retry.maximum_interval)
    yield from _at_most((*place, "maximum_attempts"), retry.maximum_attempts, MOST_ATTEMPTS)
    coefficient = retry.backoff_coefficient
    yield from _at_most((*place, "backoff_coefficient"), coefficient, LARGEST_COEFFICIENT)


def _seconds(
    place: Place, seconds: float | None, shortest: float = SHORTEST_TIME
) -> Iterator[Problem]:
    if seconds is not None and not shortest <= seconds <= YEAR:
        yield place, f"must be from {shortest:g} to {YEAR:.0f} seconds (a year)"


def _at_most(place: Place, number: float, most: float) -> Iterator[Problem]:
    if number > most:
        yield place, f"must be at most {most:,.0f}"
