"""Spaces requests to a host among all workers, through Redis."""

from __future__ import annotations

import asyncio
import hashlib
import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from stepway.hosts.pace import LONGEST_WAIT, Budget, LocalPace, too_many

log = logging.getLogger(__name__)

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'next', 'spread')
local following, spread = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
local function keep()
  redis.call('HSET', KEYS[1], 'next', string.format('%d', following),
    'spread', string.format('%d', spread))
  redis.call('PEXPIRE', KEYS[1], math.max(following, spread) - now + 1000)
end
"""

# Takes the next turn, or none if it is too far away: returns whether, and the milliseconds to it.
# The same rule as in LocalPace.
_TURN = f"""{_NOW}
local apart, creation, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local creates, longest = ARGV[4] == '1', tonumber(ARGV[5])
local at = math.max(now, following)
if creates then at = math.max(at, spread - ahead) end
if at - now > longest then return {{0, at - now}} end
following = at + apart
if creates then spread = math.max(at, spread) + creation end
keep()
return {{1, at - now}}
"""

_LIMITED = f"""{_NOW}
following = math.max(following, now + tonumber(ARGV[1]))
keep()
return following
"""


class SharedPace:
    """The turns of a budget for all workers that use a credential at a host.

    `host` is the host's address. `credential` is any text that belongs to the credential alone.
    While Redis is away, each process keeps to the budget by itself.
    """

    def __init__(self, redis: Redis, host: str, credential: str, budget: Budget) -> None:
        digest = hashlib.sha256(f"{host}\n{credential}".encode()).hexdigest()[:32]
        self.key = f"stepway:budget:{digest}"
        self._redis = redis
        self._host = host.partition("://")[2] or host
        self._budget = budget
        self._alone = LocalPace(budget, self._host)

    async def wait(self, *, creates: bool) -> None:
        """Wait for the turn. Raises HostError RATE_LIMITED if it is too far away."""
        try:
            taken, milliseconds = await self._turn(creates)
        except RedisError as error:
            log.warning("Requests to %s are spaced in this process only: %s", self._host, error)
            await self._alone.wait(creates=creates)
            return
        if not taken:
            raise too_many(self._host, milliseconds / 1000)
        if milliseconds:
            await asyncio.sleep(milliseconds / 1000)

    async def limited(self, seconds: float) -> None:
        """Give nobody a turn for some seconds."""
        await self._alone.limited(seconds)
        try:
            await self._redis.eval(_LIMITED, 1, self.key, int(seconds * 1000))
        except RedisError as error:
            log.warning("The limit of %s is known in this process only: %s", self._host, error)

    async def _turn(self, creates: bool) -> tuple[int, int]:
        budget = self._budget
        times = [budget.apart, budget.creation, budget.ahead]
        apart, creation, ahead = (int(seconds * 1000) for seconds in times)
        given = apart, creation, ahead, int(creates), int(LONGEST_WAIT * 1000)
        return await self._redis.eval(_TURN, 1, self.key, *given)  # type: ignore[no-any-return]
