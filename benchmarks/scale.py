"""Computes the tables of docs/explanation/scale.md from the cost of one initialization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.results import Result

BEGIN, END = "<!-- computed: begin -->", "<!-- computed: end -->"
A_DAY = 1_000_000
"""Initializations per day."""
SECONDS = 86_400
PEAK = 5
"""Load in the busiest second, as a multiple of the day's average."""
WATCHERS = 3
"""Average number of clients that watch an initialization live."""
SHARE = 0.5
"""CPU usage of a core at the peak."""


def write_scale(results: Sequence[Result], page: Path) -> None:
    """Replace the tables in the page, if the page and the result of the bench exist."""
    found = {result.bench: result for result in results}
    if "scale" not in found or not page.exists():
        return
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    computed = _computed(found["scale"], found)
    page.write_text(f"{before}{BEGIN}\n\n{computed}\n\n{END}{after}")


def _computed(scale: Result, found: Mapping[str, Result]) -> str:
    parts = [
        f"Measured {scale.at} on {scale.machine} (`scripts/bench scale`). An initialization here "
        "has 8 no-op steps; add the cost of real steps.",
        _table(
            [
                "per initialization",
                "measured",
                "per day",
                f"per second, at {PEAK} times the average",
            ],
            [_cost(name, value) for name, value in _costs(scale.facts)],
        ),
        f"Cores at the peak, each {SHARE:.0%} busy:",
        _table(["part", "CPU ms per initialization", "cores"], _cores(scale.facts)),
        *_from_others(scale.facts, found),
    ]
    return "\n\n".join(parts)


def _costs(facts: Mapping[str, float]) -> list[tuple[str, float]]:
    apart = ("CPU seconds", "API processes")
    return [(name, value) for name, value in facts.items() if not name.endswith(apart)]


def _cost(name: str, value: float) -> list[str]:
    return [name, _short(value), _short(value * A_DAY), _short(_at_peak(value))]


def _cores(facts: Mapping[str, float]) -> list[list[str]]:
    suffix = " CPU seconds"
    return [
        [name.removesuffix(suffix), f"{value * 1000:.1f}", f"{_at_peak(value) / SHARE:.1f}"]
        for name, value in facts.items()
        if name.endswith(suffix)
    ]


def _from_others(facts: Mapping[str, float], found: Mapping[str, Result]) -> list[str]:
    """Sentences with the results of other benches, if there are any."""
    parts = []
    if "write" in found:
        rate = found["write"].comparisons[0].medians()[0]
        need = _at_peak(facts["commits"])
        parts.append(
            f"One process of this machine records {_short(rate)} changes per second (`write`); the "
            f"peak requires {_short(need)} commits, {need / rate:.1f} times that."
        )
    if "fan-out" in found:
        rate = found["fan-out"].comparisons[0].medians()[0]
        need = _at_peak(facts["event rows"]) * WATCHERS
        parts.append(
            f"An API process makes {_short(rate)} deliveries per second of CPU (`fan-out`). With "
            f"{WATCHERS} clients watching each initialization, the peak requires {_short(need)}: "
            f"{need / rate / SHARE:.2f} cores."
        )
    if "memory" in found:
        kilobytes = found["memory"].comparisons[0].medians()[0]
        parts.append(
            f"An idle stream uses {kilobytes:.0f} KiB (`memory`); 10,000 of them, the limit of one "
            f"process, use {kilobytes * 10_000 / 1024:.0f} MiB."
        )
    return parts


def _at_peak(of_one: float) -> float:
    return of_one * A_DAY / SECONDS * PEAK


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _short(value: float) -> str:
    for size, name in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, " k")):
        if value >= size:
            divisor = 1e3 if name == " k" else size
            return f"{value / divisor:,.1f}{name}"
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
