"""All workers share the pace of a credential at a host."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from stepway.activities import pace
from stepway.activities.pace import SharedPace
from stepway.hosts.errors import HostError, Reason
from stepway.runtime.settings import Settings


async def test_turns_of_two_workers_are_apart(servers: Settings) -> None:
    credential = f"work-{uuid4()}"
    async with (
        Redis.from_url(servers.redis_url) as first,
        Redis.from_url(servers.redis_url) as second,
    ):
        workers = [SharedPace(one, "github.com", credential, 0.2) for one in (first, second)]
        begun = time.monotonic()
        await asyncio.gather(*(worker.wait() for worker in workers for _ in range(3)))
        # Six turns with five pauses; Redis counts milliseconds.
        assert time.monotonic() - begun >= 0.99


async def test_another_credential_or_host_has_its_own_turns(servers: Settings) -> None:
    credential = f"work-{uuid4()}"
    async with Redis.from_url(servers.redis_url) as redis:
        await SharedPace(redis, "github.com", credential, 3600).wait()
        await SharedPace(redis, "github.com", f"{credential}-other", 3600).wait()
        await SharedPace(redis, "git.acme.example", credential, 3600).wait()


async def test_a_turn_that_is_too_far_away_is_for_later(
    servers: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LONGEST_WAIT", 0.0)
    async with Redis.from_url(servers.redis_url) as redis:
        spaced = SharedPace(redis, "github.com", f"work-{uuid4()}", 60.0)
        await spaced.wait()
        waits = []
        for _ in range(3):
            with pytest.raises(HostError) as later:
                await spaced.wait()
            assert later.value.reason is Reason.RATE_LIMITED
            waits.append(later.value.retry_after or 0.0)
    assert min(waits) > 0.0
    # A refused turn is not reserved.
    assert max(waits) <= 60.0


async def test_without_redis_this_process_spaces_its_own_requests() -> None:
    redis = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1)
    try:
        spaced = SharedPace(redis, "github.com", "work", 0.2)
        begun = time.monotonic()
        await asyncio.gather(*(spaced.wait() for _ in range(3)))
        assert time.monotonic() - begun >= 0.4
    finally:
        await redis.aclose()
