"""Text and times made fit for a terminal. Pure."""

from __future__ import annotations

import re
from datetime import datetime

_LONGEST_LINE = 400
_HEADLINE = 100

# What a program printed may steer the terminal it is shown in: escape sequences go whole, then
# control characters, then those that turn the direction of writing.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """The text without anything that would steer a terminal; lines stay lines."""
    lines = str(text).replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return _CONTROLS.sub("", _ESCAPES.sub("", lines))


def one_line(text: object) -> str:
    """The text on one line, cleaned."""
    return " ".join(clean(text).split())


def headline(text: object) -> str:
    """The first line of the text, cleaned and short enough for a table."""
    first = next(iter(clean(text).strip().splitlines()), "")
    return first if len(first) <= _HEADLINE else f"{first[: _HEADLINE - 1]}…"


def excerpt(text: object, lines: int) -> list[str]:
    """At most so many lines of the text, cleaned: its beginning and, mostly, its end."""
    all_lines = [_short(line) for line in clean(text).splitlines() if line.strip()]
    if len(all_lines) <= lines:
        return all_lines
    left_out = f"… {len(all_lines) - lines + 1} lines more …"
    return [*all_lines[:1], left_out, *all_lines[len(all_lines) - lines + 2 :]]


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"


def duration(milliseconds: float) -> str:
    """`45 ms`, `0.3 s`, `12.3 s`, `3m 05s`, `2h 03m`."""
    if milliseconds < 100:
        return f"{milliseconds:.0f} ms"
    tenths = round(milliseconds / 100)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    if minutes < 60:
        return f"{minutes}m {seconds:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m"


def rough(milliseconds: float) -> str:
    """A time that is only about right, so that it does not pretend to more: `5 s`, `1m 30s`."""
    seconds = milliseconds / 1000
    step = 1 if seconds < 20 else 5 if seconds < 120 else 60 if seconds < 3600 else 600
    whole = max(1, round(seconds / step) * step)
    return f"{whole} s" if whole < 60 else duration(whole * 1000)


def moment(text: str | None) -> datetime | None:
    """The time of an ISO 8601 text with offset."""
    return datetime.fromisoformat(text) if text else None


def clock(text: str | None) -> str:
    """The local time of day, `14:03:59`."""
    at = moment(text)
    return f"{at.astimezone():%H:%M:%S}" if at else "--:--:--"


def date_and_clock(text: str | None) -> str:
    """The local date and time, `2025-03-01 14:03:59`."""
    at = moment(text)
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""
