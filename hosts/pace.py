"""Spaces the requests that write, as hosts ask of their clients."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Protocol

from stepway.hosts.errors import HostError, Reason

LONGEST_WAIT = 10.0
"""Seconds that a request waits for its turn; beyond that the whole step waits."""


@dataclass(frozen=True)
class Budget:
    """How much a credential may write at a host.

    Any two requests that write are `apart` seconds apart. Of the requests that create something,
    `burst` may follow each other like that; then there is one each `creation` seconds. So there are
    at most `burst + 3600 / creation` of them in any hour.
    """

    apart: float
    burst: int
    creation: float

    @property
    def ahead(self) -> float:
        """Seconds by which creations may be ahead of one each `creation` seconds."""
        return (self.burst - 1) * self.creation


class Pace(Protocol):
    """Gives each writing request its turn."""

    async def wait(self, *, creates: bool) -> None:
        """Wait for the turn. Raises HostError RATE_LIMITED if it is too far away."""
        ...

    async def limited(self, seconds: float) -> None:
        """Give nobody a turn for some seconds: the host has refused a request."""
        ...


class LocalPace:
    """The turns of a budget within this process."""

    def __init__(self, budget: Budget, name: str = "The host") -> None:
        self._budget = budget
        self._name = name
        self._next = 0.0
        # When the creations so far would be over, were they evenly spread.
        self._spread = 0.0

    async def wait(self, *, creates: bool) -> None:
        """Wait for the turn. Raises HostError RATE_LIMITED if it is too far away."""
        now = time.monotonic()
        at = max(now, self._next, self._spread - self._budget.ahead if creates else 0.0)
        if at - now > LONGEST_WAIT:
            raise too_many(self._name, at - now)
        self._next = at + self._budget.apart
        if creates:
            self._spread = max(at, self._spread) + self._budget.creation
        if at > now:
            await asyncio.sleep(at - now)

    async def limited(self, seconds: float) -> None:
        """Give nobody a turn for some seconds."""
        self._next = max(self._next, time.monotonic() + seconds)


def too_many(host: str, wait: float) -> HostError:
    """Return the error of a request whose turn is too far away."""
    return HostError(
        Reason.RATE_LIMITED,
        f"Stepway writes to {host} with this credential as often as {host} allows",
        # Spread, so that the steps that wait do not come back at once.
        retry_after=wait + random.uniform(0, LONGEST_WAIT),
    )


_paces: dict[tuple[str, str], LocalPace] = {}


def pace_of(url: str, credential: str, budget: Budget) -> LocalPace:
    """Return the pace that all users of a credential share in this process."""
    return _paces.setdefault((url, credential), LocalPace(budget, url.partition("://")[2]))
