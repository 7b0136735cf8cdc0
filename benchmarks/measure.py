"""Two sides, measured in pairs that follow each other, and the ratio between them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from statistics import median, quantiles

Metrics = Mapping[str, float]
Measure = Callable[[], Awaitable[Metrics]]

NOISY = 0.2
"""Pairs are repeated while the middle half of their ratios is wider than this share of it."""

FEWEST = 3
"""Pairs that are measured however long they take."""

PATIENCE = 30.0
"""Seconds after which no further pair is begun."""


@dataclass(frozen=True)
class Target:
    """What a ratio must reach: `at_least`, or at most, `bound`."""

    bound: float
    at_least: bool = False

    def stands(self, ratio: float) -> bool:
        """Whether the ratio, as it is printed, reaches the target."""
        return round(ratio, 2) >= self.bound if self.at_least else round(ratio, 2) <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Comparison:
    """One metric of two sides; `pairs` are (ours, theirs), each measured one after the other.

    Where `limit` is set, theirs is no side but a limit given beforehand.
    """

    name: str
    unit: str
    theirs: str
    pairs: list[tuple[float, float]]
    target: Target | None = None
    limit: bool = False

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs, a pair each."""
        return [ours / theirs for ours, theirs in self.pairs]

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The middle half of the ratios; all of them where there are fewer than four."""
        return middle_half(self.ratios)

    @property
    def stands(self) -> bool:
        """Whether the target is reached; a comparison without one is only reported."""
        return self.target is None or self.target.stands(self.ratio)

    def medians(self) -> tuple[float, float]:
        """Ours and theirs in the metric's unit."""
        return median(ours for ours, _ in self.pairs), median(theirs for _, theirs in self.pairs)


@dataclass
class Rounds:
    """What interleaved rounds gave: for each a (ours, theirs) of metrics by name."""

    rounds: list[tuple[Metrics, Metrics]] = field(default_factory=list)

    def pairs(self, metric: str) -> list[tuple[float, float]]:
        """The pairs of one metric."""
        return [(ours[metric], theirs[metric]) for ours, theirs in self.rounds]

    def is_noisy(self, metric: str) -> bool:
        """Whether the ratios of a metric lie too far apart to believe their median."""
        ratios = [ours / theirs for ours, theirs in self.pairs(metric)]
        low, high = middle_half(ratios)
        return high - low > NOISY * median(ratios)


async def repeat(
    both: Callable[[], Awaitable[tuple[Metrics, Metrics]]], pairs: int, watch: str
) -> Rounds:
    """Measure that many pairs, up to twice as many when they are noisy, fewer when time is up.

    `watch` is the metric whose noise decides.
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
    """Measure both sides in turn, who goes first alternating; as often as `repeat` says."""
    ours_first = cycle((True, False))

    async def both() -> tuple[Metrics, Metrics]:
        if next(ours_first):
            return await ours(), await theirs()
        second, first = await theirs(), await ours()
        return first, second

    return await repeat(both, pairs, watch)


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` (0 to 1) of all values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def middle_half(values: list[float]) -> tuple[float, float]:
    """The quartiles; of fewer than four values the least and the greatest."""
    if len(values) < 4:
        return min(values), max(values)
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high
