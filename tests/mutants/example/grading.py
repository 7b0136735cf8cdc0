"""A small module; its tests miss one bound, on purpose."""

from __future__ import annotations

from itertools import count

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


def next_even(points: int) -> int:
    """The next even number of points."""
    for number in count(points + 1):
        if number % 2 == 0:
            break
    return number
