"""Tests that notice everything but the bound of 50 points."""

from __future__ import annotations

import pytest

from tests.mutants.example.grading import grade, next_even, passes


@pytest.mark.parametrize(("points", "expected"), [(91, "A"), (90, "A"), (89, "B"), (40, "C")])
def test_grade(points: int, expected: str) -> None:
    assert grade(points) == expected
    assert passes(points) is (expected != "C")


def test_next_even_number() -> None:
    assert (next_even(2), next_even(3)) == (4, 4)
