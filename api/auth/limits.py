"""How much one person may ask for at once. Without sign-in there is one, who is not limited.

Counts are those of this process; behind several of them the limits add up.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

import asyncpg

from stepway.api.auth.policy import LOCAL, Person
from stepway.api.auth.refusals import TooMany
from stepway.runtime.api_settings import ApiSettings

REQUEST_BYTES = 256 * 1024
CODEC_BYTES = 4 * 1024 * 1024

FAILURES = 20
"""Sign-ins that may fail at one address in a row; then one every few seconds."""

FAILURES_PER_SECOND = 0.2

MOST_KEYS = 10_000


class Buckets:
    """For each key `burst` at once and `rate` a second after that. `clock` counts seconds."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds until one more is allowed, 0 when it is."""
        return max(0.0, (1 - self._level(key)) / self._rate)

    def take(self, key: str) -> None:
        """Count one."""
        self._levels[key] = self._clock(), max(self._level(key) - 1, 0.0)
        self._levels.move_to_end(key)
        if len(self._levels) > MOST_KEYS:
            self._levels.popitem(last=False)

    def _level(self, key: str) -> float:
        now = self._clock()
        at, level = self._levels.get(key, (now, float(self._burst)))
        return min(float(self._burst), level + (now - at) * self._rate)


class Limits:
    """The limits of a deployment, on starts and streams."""

    def __init__(self, settings: ApiSettings, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._unfinished = settings.unfinished_per_owner
        self._streams = settings.streams_per_owner
        self._starts = Buckets(settings.starts_per_minute / 60, settings.starts_per_minute)
        self._open: Counter[str] = Counter()

    async def start(self, person: Person, owner: str) -> None:
        """Count a start. Raises TooMany."""
        if person is LOCAL:
            return
        if wait := self._starts.wait(person.name):
            raise TooMany("You started too many projects in a short time; try again later.", wait)
        self._starts.take(person.name)
        unfinished = await self._pool.fetchval(
            """
            SELECT count(*) FROM projects
            WHERE owner = $1 AND initialization_completed_at IS NULL
            """,
            owner,
        )
        if unfinished >= self._unfinished:
            raise TooMany(
                f"{owner} already has {unfinished} unfinished initializations; "
                "finish or cancel some first.",
                60,
            )

    def open_stream(self, person: Person) -> None:
        """Count a stream until it is closed. Raises TooMany."""
        if person is not LOCAL and self._open[person.name] >= self._streams:
            raise TooMany(f"You already have {self._streams} open streams.", 10)
        self._open[person.name] += 1

    def close_stream(self, person: Person) -> None:
        """Count one less."""
        self._open[person.name] -= 1
        if not self._open[person.name]:
            del self._open[person.name]


class Failures:
    """Slows down whoever keeps signing in wrongly from one address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(FAILURES_PER_SECOND, FAILURES, clock)

    def check(self, address: str) -> None:
        """Raises TooMany while the address has to wait."""
        if wait := self._buckets.wait(network(address)):
            raise TooMany("Too many failed sign-ins from this address; try again later.", wait)

    def count(self, address: str) -> None:
        """A sign-in failed."""
        self._buckets.take(network(address))


def network(address: str) -> str:
    """What counts as one address: of IPv6 the network, which one machine has as a whole."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, 64), strict=False))
    return str(found)
