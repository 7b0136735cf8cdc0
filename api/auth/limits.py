"""Rate limits per person and per address. They do not apply without sign-in.

Each API process counts for itself, so with n processes the effective limits are n times as high.
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
"""Failed sign-ins that an address has in hand; after that, FAILURES_PER_SECOND."""

FAILURES_PER_SECOND = 0.2

SECRETS, SECRETS_PER_HOUR = 10, 10
"""Parameters with one owner's secrets that one person may send: at once, and then an hour."""

MAX_KEYS = 10_000


class Buckets:
    """Token buckets by key: `burst` at once, then `rate` per second. `clock` returns seconds."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Return the seconds until one more is allowed; 0 if it is allowed now."""
        return max(0.0, (1 - self._level(key)) / self._rate)

    def take(self, key: str) -> None:
        """Take one token from the bucket."""
        self._levels[key] = self._clock(), max(self._level(key) - 1, 0.0)
        self._levels.move_to_end(key)
        if len(self._levels) > MAX_KEYS:
            self._levels.popitem(last=False)

    def _level(self, key: str) -> float:
        now = self._clock()
        at, level = self._levels.get(key, (now, float(self._burst)))
        return min(float(self._burst), level + (now - at) * self._rate)


class Limits:
    """Limits on started projects and open streams."""

    def __init__(self, settings: ApiSettings, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._unfinished = settings.unfinished_per_owner
        self._streams = settings.streams_per_owner
        self._starts = Buckets(settings.starts_per_minute / 60, settings.starts_per_minute)
        self._open: Counter[str] = Counter()
        self._secrets = Buckets(SECRETS_PER_HOUR / 3600, SECRETS)

    async def start(self, person: Person, owner: str) -> None:
        """Count one start for `person`; `owner` will own the project. Raises TooMany."""
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

    def check_secrets(self, person: Person, owner: str) -> None:
        """Raises TooMany for a person whose parameters held too many of this owner's secrets."""
        if person is not LOCAL and (wait := self._secrets.wait(f"{person.name}\n{owner}")):
            raise TooMany("Too many of your parameters held secrets.", wait)

    def count_secret(self, person: Person, owner: str) -> None:
        """A parameter held one."""
        self._secrets.take(f"{person.name}\n{owner}")

    def open_stream(self, person: Person) -> None:
        """Count a stream until `close_stream`. Raises TooMany."""
        if person is not LOCAL and self._open[person.name] >= self._streams:
            raise TooMany(f"You already have {self._streams} open streams.", 10)
        self._open[person.name] += 1

    def close_stream(self, person: Person) -> None:
        self._open[person.name] -= 1
        if not self._open[person.name]:
            del self._open[person.name]


class Failures:
    """Limits failed sign-ins by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(FAILURES_PER_SECOND, FAILURES, clock)

    def check(self, address: str) -> None:
        """Raise TooMany while the address has to wait."""
        if wait := self._buckets.wait(network(address)):
            raise TooMany("Too many failed sign-ins from this address; try again later.", wait)

    def count(self, address: str) -> None:
        """Count a failed sign-in."""
        self._buckets.take(network(address))


def network(address: str) -> str:
    """Return the key of an address: for IPv6 its /64 network, which is often one machine's."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ip_network((found, 64), strict=False))
    return str(found)
