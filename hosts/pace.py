"""Spaces the requests that write, as hosts ask of their clients."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol

from stepway.hosts.errors import HostError, Reason

LONGEST_WAIT = 10.0
"""Seconds that a request waits for its turn; beyond that the whole step waits."""


class Pace(Protocol):
    """Gives each writing request its turn."""

    async def wait(self) -> None:
        """Wait for the turn. Raises HostError RATE_LIMITED if it is too far away."""
        ...


class LocalPace:
    """Turns `seconds` apart, within this process."""

    def __init__(self, seconds: float, name: str = "The host") -> None:
        self._seconds = seconds
        self._name = name
        self._next = 0.0

    async def wait(self) -> None:
        """Wait for the turn. Raises HostError RATE_LIMITED if it is too far away."""
        now = time.monotonic()
        wait = max(0.0, self._next - now)
        if wait > LONGEST_WAIT:
            raise HostError(
                Reason.RATE_LIMITED,
                f"{self._name} gets many requests from this worker",
                # Spread, so that the steps that wait do not come back at once.
                retry_after=wait + random.uniform(0, LONGEST_WAIT),
            )
        self._next = now + wait + self._seconds
        if wait:
            await asyncio.sleep(wait)


_paces: dict[tuple[str, str], LocalPace] = {}


def pace_of(url: str, credential: str, seconds: float) -> LocalPace:
    """Return the pace that all users of a credential share in this process."""
    return _paces.setdefault((url, credential), LocalPace(seconds, url.partition("://")[2]))
