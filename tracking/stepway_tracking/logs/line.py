"""A line of a step's log, and the limits of lines."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple, get_args

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)

Stream = Literal["log", "stdout", "stderr"]
"""`log` is Python's logging; the others are the output of a command, or of code that prints."""
STREAMS: tuple[Stream, ...] = get_args(Stream)

LONGEST_LINE = 16_384
"""Maximum characters of a line; a longer one is cut in the middle."""


class LogLine(NamedTuple):
    """A line of an attempt's log, without its end.

    `seq` counts from 1 within the attempt. A number that is missing belongs to a line that was left
    out. `text` may have ANSI escapes; it has no other control characters than tabs.
    """

    seq: int
    at: datetime
    level: Level
    stream: Stream
    text: str
