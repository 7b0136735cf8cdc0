"""What one sweep hands on to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MOST_AGAIN = 1_000
"""Projects that a sweep hands on at most; the others wait for their full look."""


@dataclass(frozen=True)
class SweepState:
    """The result of a sweep.

    `at` (ISO 8601, Temporal's clock) is the time up to which workflows were looked at, `types` are
    the workflow types that projects are known to have. `again` are the IDs of projects that could
    not be settled, and `closed` is the number of projects that were ended.
    """

    at: str
    types: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    closed: int = 0

    @staticmethod
    def of(given: Any) -> SweepState | None:
        """Return the state from its JSON; None if there is none, or another version's."""
        try:
            return SweepState(**given)
        except TypeError:
            return None
