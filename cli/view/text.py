"""Formats text and times for a terminal. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from stepway_tracking.record.shortening import shortened

_LONGEST_LINE = 400
_HEADLINE = 100

# Output of other programs may contain terminal control: remove escape sequences, control
# characters, and characters that change the writing direction.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """Return the text without terminal control; line breaks stay."""
    lines = str(text).replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return _CONTROLS.sub("", _ESCAPES.sub("", lines))


def one_line(text: object) -> str:
    """Return the cleaned text on one line."""
    return " ".join(clean(text).split())


def headline(text: object) -> str:
    """Return the first line of the cleaned text, shortened for a table."""
    first = next(iter(clean(text).strip().splitlines()), "")
    return shortened(first, _HEADLINE - 1)


def excerpt(text: object, lines: int) -> list[str]:
    """Return at most `lines` lines of the cleaned text: the first one and the last ones."""
    all_lines = [
        shortened(line, _LONGEST_LINE) for line in clean(text).splitlines() if line.strip()
    ]
    if len(all_lines) <= lines:
        return all_lines
    left_out = f"… {len(all_lines) - lines + 1} more lines …"
    return [*all_lines[:1], left_out, *all_lines[len(all_lines) - lines + 2 :]]


def duration(milliseconds: float) -> str:
    """`420 ms`, `4.2 s`, `14 s`, `1 min 20 s`, `2 h 5 min`, `3 d 2 h`, as on the page."""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 9950:
        return f"{round(milliseconds / 100) / 10:g} s"
    return whole(milliseconds)


def whole(milliseconds: float) -> str:
    """Like `duration`, in whole seconds, for running clocks."""
    seconds = round(milliseconds / 1000)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return _two(minutes, "min", seconds, "s")
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return _two(hours, "h", minutes, "min")
    days, hours = divmod(hours, 24)
    return _two(days, "d", hours, "h")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")


def rough(milliseconds: float) -> str:
    """An estimate, rounded to its precision: `5 s`, `1 min 30 s`."""
    seconds = milliseconds / 1000
    step = 1 if seconds < 20 else 5 if seconds < 120 else 60 if seconds < 3600 else 600
    return whole(max(1, round(seconds / step) * step) * 1000)


def counted(number: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(text: str | None) -> datetime | None:
    """Parse an ISO 8601 time with offset."""
    return datetime.fromisoformat(text) if text else None


def clock(text: str | None) -> str:
    """The local time of day, `14:03:59`."""
    at = moment(text)
    return f"{at.astimezone():%H:%M:%S}" if at else "--:--:--"


def date_and_clock(text: str | None) -> str:
    """The local date and time, `2025-03-01 14:03:59`."""
    at = moment(text)
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""
