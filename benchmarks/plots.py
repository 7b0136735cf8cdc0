"""Plots the ratios of a bench on a log2 scale: a row per comparison, a dot per pair."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log2

from benchmarks.measure import Comparison

WIDTH, LABELS, MARGIN = 860, 330, 40
ROW, TOP, BOTTOM = 34, 34, 34
INK, MUTED, GRID, GOOD, BAD = "#1f2328", "#59636e", "#d1d9e0", "#1a7f37", "#cf222e"


def ratios_svg(title: str, comparisons: Sequence[Comparison]) -> str:
    """The plot as SVG."""
    scale = Scale(comparisons)
    height = TOP + ROW * len(comparisons) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}: ratios" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_axis(scale, height),
    ]
    for row, each in enumerate(comparisons):
        parts.extend(_row(scale, each, TOP + ROW * row + ROW / 2))
    return "\n".join([*parts, "</svg>", ""])


class Scale:
    """Maps ratios to x coordinates, on a log2 scale."""

    def __init__(self, comparisons: Sequence[Comparison]) -> None:
        values = [ratio for each in comparisons for ratio in each.ratios if ratio > 0] or [1.0]
        values += [each.target.bound for each in comparisons if each.target] + [1.0]
        self.low = floor(log2(min(values)) - 0.1)
        self.high = max(ceil(log2(max(values)) + 0.1), self.low + 1)

    def x(self, ratio: float) -> float:
        """The x coordinate of a ratio; the left edge for 0."""
        place = log2(ratio) if ratio > 0 else self.low
        share = (place - self.low) / (self.high - self.low)
        return LABELS + share * (WIDTH - LABELS - MARGIN)


def _axis(scale: Scale, height: int) -> list[str]:
    parts = []
    step = max(1, ceil((scale.high - scale.low) / 8))
    for power in range(scale.low, scale.high + 1, step):
        x = scale.x(2.0**power)
        colour = MUTED if power == 0 else GRID
        parts.append(_line(x, TOP - 6, x, height - BOTTOM, colour))
        parts.append(_text(x, height - BOTTOM + 18, f"{2.0**power:g}x", MUTED, "middle"))
    return parts


def _row(scale: Scale, each: Comparison, y: float) -> list[str]:
    colour = INK if each.target is None else GOOD if each.reached else BAD
    parts = [_text(8, y - 2, each.name, INK), _text(8, y + 11, f"of {each.theirs}", MUTED)]
    if each.target:
        x = scale.x(each.target.bound)
        parts.append(_line(x, y - 12, x, y + 12, INK, 2))
        parts.append(_text(x, y - 14, str(each.target), INK, "middle"))
    parts += [
        f'<circle cx="{scale.x(ratio):.1f}" cy="{y:.1f}" r="3.5" fill="{colour}" opacity="0.35"/>'
        for ratio in each.ratios
    ]
    parts.append(f'<circle cx="{scale.x(each.ratio):.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="{width}"/>'
    )


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )
