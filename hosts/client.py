"""What the clients of all Git hosts share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from stepway.hosts.access import HostAccess
from stepway.hosts.errors import UNCERTAIN, HostError
from stepway.hosts.finishing import finished
from stepway.hosts.http import LONGEST, HostHttp

PATIENCE = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries while a host does not show what was created a moment ago."""

UNDER_WAY = LONGEST
"""Seconds after it was sent in which a request without an answer may take effect."""

_LATE_PAUSE = 3.0

Json = dict[str, Any]
T = TypeVar("T")


class HostClient:
    """Requests to one host as one account.

    `patience` are the seconds between tries while something new is "not found".
    """

    def __init__(
        self, http: HostHttp, access: HostAccess, patience: Sequence[float] = PATIENCE
    ) -> None:
        self.http = http
        self.access = access
        self.patience = patience

    @property
    def account(self) -> str:
        """The owner of new repositories where a step names none; empty if not stored."""
        return self.access.account

    async def found_late(
        self, error: HostError, find: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        """Return what a request made that ended in `error`; None if it has made nothing.

        `find` is repeated for some seconds, because something new may not be visible at once, and
        as long as a request without an answer may take effect. A cancel waits for the end.
        """
        return await finished(self._found_late(error, find))

    async def _found_late(
        self, error: HostError, find: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        end = time.monotonic() if error.sent_at is None else error.sent_at + UNDER_WAY
        pauses = iter(self.patience)
        while True:
            left = end - time.monotonic()
            try:
                if (found := await find()) is not None:
                    return found
            except HostError as problem:
                if left <= 0 or problem.reason not in UNCERTAIN:
                    raise
            pause = next(pauses, None)
            if pause is None:
                if left <= 0:
                    return None
                pause = min(_LATE_PAUSE, left)
            await asyncio.sleep(pause)


def time_of(text: Any) -> datetime | None:
    """Return a time in ISO 8601, as hosts write it; None for one that says nothing."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    # Gitea writes the year 1 for a time that it does not know.
    return found.replace(tzinfo=found.tzinfo or UTC) if found.year > 1 else None
