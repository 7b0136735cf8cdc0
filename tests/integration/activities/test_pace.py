"""All workers share the pace of a credential at a host."""

from __future__ import annotations

import asyncio
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
from stepway.hosts.host import Permission
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
    monkeypatch.setattr("stepway.activities.credentials.git_hosts.spacing", lambda access: 3600.0)
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
