"""Measures two sides in pairs, one right after the other, and computes their ratio."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from statistics import median, quantiles

Metrics = Mapping[str, float]
Measure = Callable[[], Awaitable[Metrics]]

NOISY = 0.2
"""More pairs are measured while the middle half of the ratios is wider than this share of the
median."""

FEWEST = 3
"""Minimum number of pairs, however long they take."""

PATIENCE = 30.0
"""Seconds after which no new pair is started."""


@dataclass(frozen=True)
class Target:
    """The target of a ratio: at most `bound`, or at least `bound` with `at_least`."""

    bound: float
    at_least: bool = False

    def reached(self, ratio: float) -> bool:
        """Whether the ratio, rounded as it is printed, reaches the target."""
        return round(ratio, 2) >= self.bound if self.at_least else round(ratio, 2) <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Comparison:
    """One metric of two sides; each of `pairs` is (ours, theirs).

    With `limit`, `theirs` is a fixed limit instead of a measurement.
    """

    name: str
    unit: str
    theirs: str
    pairs: list[tuple[float, float]]
    target: Target | None = None
    limit: bool = False

    @property
    def ratios(self) -> list[float]:
        """Ours divided by theirs, for each pair."""
        return [ours / theirs for ours, theirs in self.pairs]

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the ratios; minimum and maximum of fewer than four."""
        return middle_half(self.ratios)

    @property
    def reached(self) -> bool:
        """Whether the target is reached; True without a target."""
        return self.target is None or self.target.reached(self.ratio)

    def medians(self) -> tuple[float, float]:
        """The medians of ours and theirs, in the metric's unit."""
        return median(ours for ours, _ in self.pairs), median(theirs for _, theirs in self.pairs)


@dataclass
class Rounds:
    """The metrics of interleaved rounds: (ours, theirs) for each round, by name."""

    rounds: list[tuple[Metrics, Metrics]] = field(default_factory=list)

    def pairs(self, metric: str) -> list[tuple[float, float]]:
        """The pairs of one metric."""
        return [(ours[metric], theirs[metric]) for ours, theirs in self.rounds]

    def is_noisy(self, metric: str) -> bool:
        """Whether the ratios of a metric vary too much for a reliable median."""
        ratios = [ours / theirs for ours, theirs in self.pairs(metric)]
        low, high = middle_half(ratios)
        return high - low > NOISY * median(ratios)


async def repeat(
    both: Callable[[], Awaitable[tuple[Metrics, Metrics]]], pairs: int, watch: str
) -> Rounds:
    """Measure `pairs` pairs, up to twice as many if they are noisy, fewer after PATIENCE seconds.

    `watch` is the metric whose noise is checked.
    """
    found, began = Rounds(), time.monotonic()
    while len(found.rounds) < pairs or (
        pairs > 1 and len(found.rounds) < 2 * pairs and found.is_noisy(watch)
    ):
        if len(found.rounds) >= FEWEST and time.monotonic() - began > PATIENCE:
            break
        found.rounds.append(await both())
    return found


async def interleave(ours: Measure, theirs: Measure, pairs: int, watch: str) -> Rounds:
    """Measure both sides in turn, as often as `repeat` does; the first side alternates."""
    ours_first = cycle((True, False))

    async def both() -> tuple[Metrics, Metrics]:
        if next(ours_first):
            return await ours(), await theirs()
        second, first = await theirs(), await ours()
        return first, second

    return await repeat(both, pairs, watch)


def percentile(values: Iterable[float], share: float) -> float:
    """The percentile of the values at `share` (0 to 1)."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def middle_half(values: list[float]) -> tuple[float, float]:
    """The first and third quartile; minimum and maximum of fewer than four values."""
    if len(values) < 4:
        return min(values), max(values)
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high
