"""All workers share the pace of a credential at a host."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from stepway.activities import pace
from stepway.activities.credentials.git_hosts import GitHosts
from stepway.activities.pace import SharedPace
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github.client import BUDGET
from stepway.hosts.host import Permission
from stepway.hosts.pace import LONGEST_WAIT, Budget
from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.vault.keyring import open_keyring
from stepway.vault.keys import new_key
from stepway.vault.kinds import Target
from stepway.vault.vault import EVERYONE, Vault
from stepway.worker import running_worker
from stepway_tracking.stream.publisher import open_redis
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.server import running_host


def apart(seconds: float) -> Budget:
    """Spaces all requests that write alike."""
    return Budget(seconds, burst=1, creation=seconds)


async def test_turns_of_two_workers_are_apart(servers: Settings) -> None:
    credential = f"work-{uuid4()}"
    async with (
        Redis.from_url(servers.redis_url) as first,
        Redis.from_url(servers.redis_url) as second,
    ):
        workers = [SharedPace(one, "github.com", credential, apart(0.2)) for one in (first, second)]
        begun = time.monotonic()
        await asyncio.gather(*(worker.wait(creates=False) for worker in workers for _ in range(3)))
        # Six turns with five pauses; Redis counts milliseconds.
        assert time.monotonic() - begun >= 0.99


CREATE = """
import asyncio, sys
from redis.asyncio import Redis
from stepway.activities.pace import SharedPace
from stepway.hosts.pace import Budget

async def main(url, credential, times):
    async with Redis.from_url(url) as redis:
        pace = SharedPace(redis, "github.com", credential, Budget(0.0, 1000, 100.0))
        for _ in range(int(times)):
            await pace.wait(creates=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def spread(redis: Redis, pace: SharedPace) -> int:
    """When the creations so far would be over, were they evenly spread, in milliseconds."""
    return int(await redis.hget(pace.key, "spread"))  # type: ignore[misc,arg-type]


async def test_creations_of_two_processes_share_a_budget(servers: Settings) -> None:
    credential, times = f"work-{uuid4()}", 20
    async with Redis.from_url(servers.redis_url) as redis:
        pace = SharedPace(redis, "github.com", credential, Budget(0.0, 1000, 100.0))
        await pace.wait(creates=True)
        before = await spread(redis, pace)
        given = (sys.executable, "-c", CREATE, servers.redis_url, credential, str(times))
        processes = [await asyncio.create_subprocess_exec(*given) for _ in range(2)]
        assert [await each.wait() for each in processes] == [0, 0]
        assert await spread(redis, pace) == before + 2 * times * 100_000


async def test_no_hour_has_more_creations_than_the_host_allows(servers: Settings) -> None:
    assert BUDGET.burst + 3600 / BUDGET.creation <= 500
    assert 60 / BUDGET.apart <= 80
    async with Redis.from_url(servers.redis_url) as redis:
        pace = SharedPace(redis, "github.com", f"work-{uuid4()}", Budget(0.0, 5, 3600.0))
        for _ in range(5):
            await pace.wait(creates=True)
        with pytest.raises(HostError) as later:
            await pace.wait(creates=True)
        assert later.value.reason is Reason.RATE_LIMITED
        assert (later.value.retry_after or 0.0) > 3000.0
        # What creates nothing goes on.
        await pace.wait(creates=False)


async def test_a_limit_that_one_worker_meets_holds_all_of_them(servers: Settings) -> None:
    credential, budget = f"work-{uuid4()}", Budget(0.0, 5, 0.0)
    async with (
        Redis.from_url(servers.redis_url) as first,
        Redis.from_url(servers.redis_url) as second,
    ):
        await SharedPace(first, "github.com", credential, budget).limited(600.0)
        with pytest.raises(HostError) as later:
            await SharedPace(second, "github.com", credential, budget).wait(creates=False)
        assert (later.value.retry_after or 0.0) > 500.0
        await SharedPace(second, "github.com", "another", budget).wait(creates=False)


async def test_another_credential_or_host_has_its_own_turns(servers: Settings) -> None:
    credential = f"work-{uuid4()}"
    async with Redis.from_url(servers.redis_url) as redis:
        await SharedPace(redis, "github.com", credential, apart(3600)).wait(creates=False)
        await SharedPace(redis, "github.com", f"{credential}-other", apart(3600)).wait(
            creates=False
        )
        await SharedPace(redis, "git.acme.example", credential, apart(3600)).wait(creates=False)


async def test_a_turn_that_is_too_far_away_is_for_later(
    servers: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LONGEST_WAIT", 0.0)
    async with Redis.from_url(servers.redis_url) as redis:
        spaced = SharedPace(redis, "github.com", f"work-{uuid4()}", apart(60.0))
        await spaced.wait(creates=False)
        waits = []
        for _ in range(3):
            with pytest.raises(HostError) as later:
                await spaced.wait(creates=False)
            assert later.value.reason is Reason.RATE_LIMITED
            waits.append(later.value.retry_after or 0.0)
    assert min(waits) > 0.0
    # A refused turn is not reserved; those that wait are spread over some seconds.
    assert max(waits) <= 60.0 + LONGEST_WAIT


async def test_without_redis_this_process_spaces_its_own_requests() -> None:
    redis = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1)
    try:
        spaced = SharedPace(redis, "github.com", "work", apart(0.2))
        begun = time.monotonic()
        await asyncio.gather(*(spaced.wait(creates=False) for _ in range(3)))
        assert time.monotonic() - begun >= 0.4
    finally:
        await redis.aclose()


async def put(settings: Settings, name: str, token: str, url: str) -> None:
    engine = open_engine(settings.sqlalchemy_url)
    vault = Vault(engine, open_keyring(settings.keys))
    try:
        await vault.put(EVERYONE, name, token, "acme", Target("github", url))
    finally:
        await engine.dispose()


@asynccontextmanager
async def resources_of(settings: Settings) -> AsyncIterator[Resources]:
    """What the steps of one worker have."""
    engine, redis = open_engine(settings.sqlalchemy_url), open_redis(settings.redis_url)
    made = Resources(settings, engine, redis)
    try:
        yield made
    finally:
        await made.git_hosts.close()
        await redis.aclose()
        await engine.dispose()


async def test_the_steps_of_all_workers_share_the_turns_of_a_credential(
    servers: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "stepway.activities.credentials.git_hosts.budget", lambda access: apart(3600.0)
    )
    settings = servers.model_copy(update={"secret_keys": SecretStr(new_key("pace"))})
    with running_host(GitHubSurface) as server:
        server.world.add_account("erin")
        server.world.add_account("otto")
        server.world.add_organization("acme", owner="erin")
        server.world.add_repository("acme", "shop")
        names = [f"paced-{uuid4().hex[:8]}" for _ in range(2)]
        for name in names:
            token = server.world.add_token("erin", {"repo"})
            await put(settings, name, token.value, server.url)

        async def write(worker: Resources, name: str, owner: str) -> None:
            project = ProjectRef(str(uuid4()), "shop", owner)
            async with worker.git_hosts.open(name, project) as host:
                found = await host.find_repository("acme", "shop")
                assert found is not None
                await host.put_collaborator(found, "otto", Permission.READ)

        async with resources_of(settings) as first, resources_of(settings) as second:
            await write(first, names[0], "ada")
            for worker in (first, second):
                # Another owner's project uses the same credential.
                with pytest.raises(HostError) as later:
                    await write(worker, names[0], "ben")
                assert later.value.reason is Reason.RATE_LIMITED
            await write(second, names[1], "ada")
        assert len(server.requests("PUT .*/collaborators/otto")) == 2


async def test_a_worker_that_stops_closes_the_connections_of_its_hosts(
    servers: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[GitHosts] = []
    closed: list[GitHosts] = []
    begin, close = GitHosts.__init__, GitHosts.close

    def noted(self: GitHosts, credentials: Any, redis: Redis | None = None) -> None:
        begin(self, credentials, redis)
        assert redis is not None
        opened.append(self)

    async def noted_close(self: GitHosts) -> None:
        closed.append(self)
        await close(self)

    monkeypatch.setattr(GitHosts, "__init__", noted)
    monkeypatch.setattr(GitHosts, "close", noted_close)
    queue = f"closing-{uuid4().hex[:8]}"
    settings = servers.model_copy(update={"data_dir": tmp_path, "temporal_task_queue": queue})
    async with running_worker(settings):
        assert len(opened) == 1
        assert closed == []
    assert closed == opened
