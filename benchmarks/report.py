"""Writes docs/benchmarks.md and its plots from the stored results."""

from __future__ import annotations

import importlib
from pathlib import Path

from benchmarks.measure import Comparison
from benchmarks.plots import ratios_svg
from benchmarks.results import Result

HEAD = """# Benchmarks

Written by `scripts/bench`; do not edit. Each number is a ratio of two sides that were measured in
turn, in one run, on one machine: the median of the pairs' ratios, with the middle half of them in
brackets (all of them if there are fewer than four). Numbers from different runs, machines or
sections cannot be compared. `benchmarks/results/` holds every pair.

"""


def write_page(results: list[Result], page: Path) -> None:
    """Write the page, and a plot for each bench in a folder next to it."""
    plots = page.parent / page.stem
    plots.mkdir(parents=True, exist_ok=True)
    sections = []
    for result in results:
        (plots / f"{result.bench}.svg").write_text(ratios_svg(result.bench, result.comparisons))
        sections.append(_section(result, f"{plots.name}/{result.bench}.svg"))
    page.write_text(HEAD + _overview(results) + "\n" + "\n".join(sections))


def summary(result: Result) -> str:
    """A line for each ratio, with its target."""
    return "\n".join(f"{result.bench}: {_line(each)}" for each in result.comparisons)


def _line(each: Comparison) -> str:
    low, high = each.spread
    verdict = "reported" if each.target is None else "met" if each.reached else "MISSED"
    target = f", target {each.target}" if each.target else ""
    return (
        f"{each.name} {each.ratio:.2f}x ({low:.2f}–{high:.2f}) of {each.theirs}{target}: {verdict}"
    )


def _overview(results: list[Result]) -> str:
    rows = [
        f"| [{result.bench}](#{result.bench}) | {each.name} | {each.theirs} | "
        f"{each.ratio:.2f}x | {each.target or '–'} | {_verdict(each)} |"
        for result in results
        for each in result.comparisons
    ]
    head = ["| bench | what | against | ratio | target | |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _section(result: Result, plot: str) -> str:
    module = importlib.import_module(f"benchmarks.benches.{result.bench.replace('-', '_')}")
    rows = [_row(each) for each in result.comparisons]
    lines = [
        f"## {result.bench}",
        "",
        module.ABOUT,
        "",
        "| what | unit | ours | against | theirs | ratio | pairs | target | |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"![The ratio of each pair]({plot})",
        "",
        *(f"- {note}" for note in result.notes),
        *([""] if result.notes else []),
        f"Measured {result.at} in {result.seconds:.0f} s on {result.machine}.",
        "",
    ]
    return "\n".join(lines)


def _row(each: Comparison) -> str:
    ours, theirs = each.medians()
    low, high = each.spread
    return (
        f"| {each.name} | {each.unit} | {_number(ours)} | {each.theirs} | {_number(theirs)} | "
        f"{each.ratio:.2f}x ({low:.2f}–{high:.2f}) | {len(each.pairs)} | {each.target or '–'} | "
        f"{_verdict(each)} |"
    )


def _verdict(each: Comparison) -> str:
    if each.target is None:
        return "reported"
    return "met" if each.reached else "**missed**"


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
