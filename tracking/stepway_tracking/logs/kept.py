"""How much of a log is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stepway_tracking.logs.store import LogStore

MEGABYTE = 1024 * 1024

REMEMBERED = 60.0
"""Seconds for which the size of a project's logs is remembered."""

REMEMBERED_NEAR = 5.0
"""The same where it is more than half of the limit: other workers may add to it."""


@dataclass(frozen=True)
class LogLimits:
    """Characters that are kept of an attempt's log: `head` from its beginning, `tail` of its end.

    What is between them is left out. Once all logs of a project have `project` characters, attempts
    keep what they have of their beginning, and `small` of their end only.
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
        self._found: dict[str, _Found] = {}

    async def kept(self, project_id: str) -> tuple[int, int]:
        """Characters to keep of a log's beginning and of its end. Raises the driver's errors."""
        found = self._found.get(project_id)
        now = time.monotonic()
        if found is None or now - found.at > self._remembered(found.size):
            size = await self._store.size(project_id)
            self._found = {
                each: found for each, found in self._found.items() if now - found.at < REMEMBERED
            }
            found = self._found[project_id] = _Found(now, size)
        if found.size >= self._limits.project:
            return 0, self._limits.small
        return self._limits.head, self._limits.tail

    def add(self, project_id: str, size: int) -> None:
        """Count characters that this process has written, or deleted if `size` is negative."""
        if found := self._found.get(project_id):
            found.size += size

    def _remembered(self, size: int) -> float:
        return REMEMBERED_NEAR if size > self._limits.project // 2 else REMEMBERED


@dataclass
class _Found:
    """The size of a project's logs: as it was read, with what this process has added since."""

    at: float
    size: int
