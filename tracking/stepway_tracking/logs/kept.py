"""How much of a log is kept."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class LogLimits:
    """Characters that are kept of an attempt's log: `head` from its beginning, `tail` of its end.

    What is between them is left out. `project` is the same for all logs of a project: attempts that
    begin later keep no head.
    """

    head: int = 24 * MEGABYTE
    tail: int = 8 * MEGABYTE
    project: int = 256 * MEGABYTE
