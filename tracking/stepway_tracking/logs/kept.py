"""How much of a log is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stepway_tracking.logs.store import LogStore

MEGABYTE = 1024 * 1024

REMEMBERED = 60.0
"""Seconds for which the size of a project's logs is remembered."""


@dataclass(frozen=True)
class LogLimits:
    """Characters that are kept of an attempt's log: `head` from its beginning, `tail` of its end.

    What is between them is left out. Once all logs of a project have `project` characters, further
    attempts keep `small` of their end only.
    """

    head: int = 24 * MEGABYTE
    tail: int = 8 * MEGABYTE
    project: int = 256 * MEGABYTE
    small: int = 64 * 1024


class ProjectSizes:
    """Knows how much of a log may be kept, from the size of its project's logs."""

    def __init__(self, store: LogStore, limits: LogLimits) -> None:
        self._store = store
        self._limits = limits
        self._found: dict[str, tuple[float, int]] = {}

    async def kept(self, project_id: str) -> tuple[int, int]:
        """Characters to keep of a log's beginning and of its end. Raises the driver's errors."""
        now = time.monotonic()
        self._found = {each: found for each, found in self._found.items() if found[0] > now}
        if project_id not in self._found:
            size = await self._store.size(project_id)
            self._found[project_id] = (now + REMEMBERED, size)
        if self._found[project_id][1] >= self._limits.project:
            return 0, self._limits.small
        return self._limits.head, self._limits.tail
