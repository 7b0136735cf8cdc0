"""Spaces requests to a host among all workers, through Redis."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random

from redis.asyncio import Redis
from redis.exceptions import RedisError

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.pace import LONGEST_WAIT, LocalPace

log = logging.getLogger(__name__)

# Takes the next turn, or none if it is too far away: returns whether, and the milliseconds to it.
_TURN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait = math.max(0, tonumber(redis.call('GET', KEYS[1]) or 0) - now)
if wait > tonumber(ARGV[2]) then return {0, wait} end
local apart = tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%d', now + wait + apart), 'PX', wait + apart + 1000)
return {1, wait}
"""


class SharedPace:
    """Turns `seconds` apart for all workers that use a credential at a host.

    `host` is the host's address. `credential` is any text that belongs to the credential alone.
    While Redis is away, the turns are apart within this process only.
    """

    def __init__(self, redis: Redis, host: str, credential: str, seconds: float) -> None:
        digest = hashlib.sha256(f"{host}\n{credential}".encode()).hexdigest()[:32]
        self._key = f"stepway:pace:{digest}"
        self._redis = redis
        self._host = host.partition("://")[2] or host
        self._seconds = seconds
        self._alone = LocalPace(seconds, self._host)

    async def wait(self) -> None:
        """Wait for the turn. Raises HostError RATE_LIMITED if it is too far away."""
        try:
            taken, milliseconds = await self._turn()
        except RedisError as error:
            log.warning("Requests to %s are spaced in this process only: %s", self._host, error)
            await self._alone.wait()
            return
        if not taken:
            raise HostError(
                Reason.RATE_LIMITED,
                f"{self._host} gets many requests from this credential",
                # Spread, so that the steps that wait do not come back at once.
                retry_after=milliseconds / 1000 + random.uniform(0, LONGEST_WAIT),
            )
        if milliseconds:
            await asyncio.sleep(milliseconds / 1000)

    async def _turn(self) -> tuple[int, int]:
        apart, longest = int(self._seconds * 1000), int(LONGEST_WAIT * 1000)
        return await self._redis.eval(_TURN, 1, self._key, apart, longest)  # type: ignore[no-any-return]
