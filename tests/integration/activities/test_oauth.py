"""OAuth tokens of GitLab are refreshed, stored again and shared by all workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError

from stepway.activities.credentials.resolve_credentials import (
    ResolveCredentialsInput,
    ResolvedCredential,
)
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, load_steps
from stepway.runtime.settings import Settings
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.kinds import Target
from stepway.vault.models import Credential
from stepway.vault.redaction import REDACTED, redact
from stepway.vault.vault import EVERYONE, Vault
from tests.integration.activities.conftest import Worker
from tests.support.githost.gitlab.surface import GitLabSurface
from tests.support.githost.gitlab.tokens import add_oauth_tokens
from tests.support.githost.server import Host, running_host

KEY = new_key("oauth")
REFRESHED = "POST .*/oauth/token$"


@pytest.fixture
async def vault(engine: AsyncEngine) -> AsyncIterator[Vault]:
    yield Vault(engine, Keyring(parse_keys(KEY)))
    async with engine.begin() as connection:
        await connection.execute(delete(Credential))


@pytest.fixture
def host() -> Iterator[Host]:
    """A GitLab with the person erin."""
    with running_host(GitLabSurface) as host:
        host.world.add_account("erin")
        yield host
        assert not host.violations


def worker_of(folder: Path, engine: AsyncEngine) -> Worker:
    """A worker of its own, which shares nothing with others but the database."""
    settings = Settings(data_dir=folder, secret_keys=SecretStr(KEY))
    return Worker(folder, load_steps(Resources(settings, engine)))


async def stored(vault: Vault) -> dict[str, Any]:
    secret = await vault.find(EVERYONE, "forge")
    assert secret is not None
    return dict(json.loads(secret.value))


async def put(vault: Vault, host: Host, lasts: timedelta) -> None:
    """Store a new pair of erin's tokens, of which the access token lives so long."""
    token, refresh = add_oauth_tokens(host.world, "erin", {"api"}, lasts)
    pair = {"access_token": token.value, "refresh_token": refresh, "client_id": "stepway"}
    at = (datetime.now(UTC) + lasts).timestamp()
    value = json.dumps(pair | {"expires_at": at})
    await vault.put(EVERYONE, "forge", value, "", Target("gitlab", host.url))


async def resolved(worker: Worker, project: ProjectRef) -> ResolvedCredential:
    found = await worker.run("resolve_credentials", ResolveCredentialsInput(project, "forge"))
    assert isinstance(found, ResolvedCredential)
    return found


async def test_token_is_refreshed_in_time_and_the_new_pair_is_stored_and_hidden(
    vault: Vault, host: Host, engine: AsyncEngine, project: ProjectRef, tmp_path: Path
) -> None:
    await put(vault, host, timedelta(minutes=3))
    before = await stored(vault)
    worker = worker_of(tmp_path, engine)
    for _ in range(2):
        assert (await resolved(worker, project)).account == "erin"
    assert len(host.requests(REFRESHED)) == 1
    after = await stored(vault)
    assert after["client_id"] == "stepway"
    for field in ("access_token", "refresh_token"):
        assert after[field] != before[field]
        for secret in (before[field], after[field]):
            assert redact(f"sent {secret}") == f"sent {REDACTED}"
    assert after["expires_at"] > datetime.now(UTC).timestamp() + 3600


async def test_workers_that_refresh_at_the_same_time_all_go_on(
    vault: Vault, host: Host, engine: AsyncEngine, project: ProjectRef, tmp_path: Path
) -> None:
    await put(vault, host, timedelta(minutes=3))
    workers = [worker_of(tmp_path / str(number), engine) for number in range(3)]
    found = await asyncio.gather(*(resolved(each, project) for each in workers))
    assert {each.account for each in found} == {"erin"}
    known = host.world.options["refresh_tokens"]
    assert (await stored(vault))["refresh_token"] in known


async def test_revoked_token_is_refreshed(
    vault: Vault, host: Host, engine: AsyncEngine, project: ProjectRef, tmp_path: Path
) -> None:
    await put(vault, host, timedelta(hours=2))
    worker = worker_of(tmp_path, engine)
    await resolved(worker, project)
    host.world.tokens[(await stored(vault))["access_token"]].revoked = True
    assert (await resolved(worker, project)).account == "erin"
    assert len(host.requests(REFRESHED)) == 1


async def test_token_that_an_operator_stores_is_used_at_once(
    vault: Vault, host: Host, engine: AsyncEngine, project: ProjectRef, tmp_path: Path
) -> None:
    await put(vault, host, timedelta(hours=2))
    worker = worker_of(tmp_path, engine)
    await resolved(worker, project)
    await put(vault, host, timedelta(hours=2))
    await resolved(worker, project)
    used = host.log[-1].headers["authorization"]
    assert used == f"Bearer {(await stored(vault))['access_token']}"
    assert not host.requests(REFRESHED)


async def test_refresh_token_that_was_withdrawn_asks_for_a_new_sign_in(
    vault: Vault, host: Host, engine: AsyncEngine, project: ProjectRef, tmp_path: Path
) -> None:
    await put(vault, host, timedelta(minutes=3))
    host.world.options["refresh_tokens"].clear()
    before = await stored(vault)
    with pytest.raises(ApplicationError, match="does not refresh the token") as caught:
        await resolved(worker_of(tmp_path, engine), project)
    assert caught.value.non_retryable
    assert await stored(vault) == before
