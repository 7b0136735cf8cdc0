"""Publishes events on Redis after their commit. Redis may lose some of them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from uuid import UUID

from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

PUBLISH_FAILURES = Counter(
    "stepway_publish_failures_total",
    "Events that Redis did not accept; the position check finds them.",
)


def channel(project_id: UUID | str) -> str:
    """The channel that carries a project's events."""
    return f"stepway:project:{project_id}"


def logs_channel(project_id: UUID | str) -> str:
    """The channel that tells when a project's logs have new lines."""
    return f"stepway:logs:{project_id}"


def open_redis(url: str) -> Redis:
    """A client with timeouts: 1 s to connect, 2 s for a response."""
    return Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)


MOST_WAITING = 10_000
"""Events that wait for a Redis that is slow; later ones are dropped."""

MOST_HINTS = 1_000
"""Messages of any kind that may wait before hints are left out."""

AT_ONCE = 500
"""Events in one round trip."""

LAST_PATIENCE = 1.0
"""Seconds that the last events have left when the process ends."""


class Publisher:
    """Publishes each event's JSON in the background, in order; a failure is counted, not raised.

    No write waits for Redis: a reader that misses an event finds it by the position check.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: deque[tuple[str, str]] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def publish(self, project_id: str, messages: Sequence[str]) -> None:
        """Take the messages to be sent in order; returns at once."""
        if len(self._waiting) + len(messages) > MOST_WAITING:
            _count_lost(len(messages), project_id, "it is too far behind")
            return
        self._take(channel(project_id), messages)

    def hint(self, name: str, message: str) -> None:
        """Take a message of a channel whose name ends with a project's ID; returns at once.

        It is left out where Redis is slow, so that events have the room: readers look by
        themselves.
        """
        if len(self._waiting) < MOST_HINTS:
            self._take(name, [message])

    def _take(self, name: str, messages: Sequence[str]) -> None:
        self._waiting.extend((name, message) for message in messages)
        if self._waiting and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send_all())

    async def close(self) -> None:
        """Send what waits, for a moment; what is left then is lost."""
        if self._sending is not None and not self._sending.done():
            await asyncio.wait([self._sending], timeout=LAST_PATIENCE)
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    async def _send_all(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    for name, message in batch:
                        pipe.publish(name, message)
                    await pipe.execute()
            except (RedisError, OSError) as error:
                _count_lost(len(batch), batch[0][0].rpartition(":")[2], error)


def _count_lost(number: int, where: str, reason: object) -> None:
    PUBLISH_FAILURES.inc(number)
    log.warning("Redis took no event of project %s: %s", where, reason)
