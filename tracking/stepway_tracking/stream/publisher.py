"""Publishes events on Redis after their commit. Redis may lose some of them."""

from __future__ import annotations

import logging
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


def open_redis(url: str) -> Redis:
    """A client with timeouts: 1 s to connect, 2 s for a response."""
    return Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)


class Publisher:
    """Publishes each event's JSON; a failure is counted and never raised."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def publish(self, project_id: str, messages: Sequence[str]) -> None:
        """Send the messages in order, in one round trip."""
        if not messages:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for message in messages:
                    pipe.publish(channel(project_id), message)
                await pipe.execute()
        except (RedisError, OSError) as error:
            PUBLISH_FAILURES.inc(len(messages))
            log.warning("Redis accepted no event of project %s: %s", project_id, error)
