"""A small module; its tests miss one bound, on purpose."""

from __future__ import annotations

PASSES = ["A", "B"]


def grade(points: int) -> str:
    """The grade for 0 to 100 points."""
    if points >= 90:
        return "A"
    if points > 50:
        return "B"
    return "C"


def passes(points: int) -> bool:
    """Whether these points are enough."""
    return grade(points) in PASSES


def halved(points: int) -> int:
    """Half of the points."""
    while points % 2:
        points += 1
    return points >> 1
