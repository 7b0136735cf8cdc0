"""Tokens of a GitHub App."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest

from stepway.hosts.access import HostAccess, HostKind
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github import app as github_app
from stepway.hosts.github.app import AppTokens
from stepway.hosts.github.client import open_github
from stepway.hosts.host import Feature, GitHost
from tests.integration.hosts.places import SOON, Place, PushRefused, push
from tests.support.githost.github.pushes import GitHubSurface

RIGHTS = {
    "administration": "write",
    "contents": "write",
    "environments": "write",
    "secrets": "write",
}
ASKED = "POST .*/access_tokens"


def surface(place: Place) -> GitHubSurface:
    """GitHub's surface of the host for tests."""
    assert place.server is not None
    assert isinstance(place.server.surface, GitHubSurface)
    return place.server.surface


def tokens_of(place: Place, *, account: str = "acme", **rights: str) -> AppTokens:
    """Return the tokens of a new App that is installed in `acme`."""
    number, key = surface(place).add_app("stepway", "acme", **(rights or RIGHTS))
    assert place.server is not None
    return AppTokens(place.server.url, number, key, account)


@asynccontextmanager
async def as_app(place: Place, tokens: AppTokens) -> AsyncIterator[GitHost]:
    """Open the host as an App."""
    assert place.server is not None
    access = HostAccess(HostKind.GITHUB, place.server.url, "app", "acme", tokens)
    async with open_github(access, patience=SOON) as host:
        yield host


async def test_an_app_creates_and_pushes_with_one_token(on_github: Place) -> None:
    assert on_github.server is not None
    tokens = tokens_of(on_github)
    async with as_app(on_github, tokens) as host:
        identity = await host.identity()
        made = await host.create_repository(on_github.spec())
        await host.put_secret(made, "A", "1")
        commit = push(await host.remote(made), {"a": b"1"})
        assert await host.branch_head(made, "main") == commit
    assert (identity.account, identity.kind) == ("acme", "app")
    assert identity.scopes is not None
    assert "contents:write" in identity.scopes
    assert await tokens.name() == "stepway"
    assert len(on_github.server.requests(ASKED)) == 1


async def test_all_openings_of_a_process_share_a_token(on_github: Place) -> None:
    assert on_github.server is not None
    number, key = surface(on_github).add_app("stepway", "acme", **RIGHTS)
    for _ in range(3):
        async with as_app(on_github, AppTokens(on_github.server.url, number, key, "acme")) as host:
            await host.create_repository(on_github.spec())
    assert len(on_github.server.requests(ASKED)) == 1


async def test_a_token_is_replaced_shortly_before_it_expires(on_github: Place) -> None:
    assert on_github.server is not None
    surface(on_github).token_lasts = timedelta(seconds=200)
    tokens = tokens_of(on_github)
    first = await tokens.token()
    surface(on_github).token_lasts = timedelta(hours=1)
    second = await tokens.token()
    assert first != second
    assert await tokens.token() == second
    assert len(on_github.server.requests(ASKED)) == 2


async def test_a_token_that_is_refused_is_replaced_at_once(on_github: Place) -> None:
    assert on_github.server is not None
    tokens = tokens_of(on_github)
    async with as_app(on_github, tokens) as host:
        made = await host.create_repository(on_github.spec())
        on_github.server.world.tokens[await tokens.token()].revoked = True
        await host.put_secret(made, "A", "1")
    stored = on_github.stored(made)
    assert stored is not None
    assert stored.secrets == {(None, "A"): "1"}


async def test_a_permission_is_missing(on_github: Place) -> None:
    tokens = tokens_of(on_github, administration="write", contents="write")
    async with as_app(on_github, tokens) as host:
        missing = await host.missing_scopes([Feature.SECRETS], workflows=True)
        assert missing == ["secrets:write", "workflows:write"]
        made = await host.create_repository(on_github.spec())
        with pytest.raises(HostError) as refused:
            await host.put_secret(made, "A", "1")
        assert refused.value.reason is Reason.SCOPE_MISSING
        assert "secrets=write" in refused.value.message
        with pytest.raises(PushRefused, match="without `workflows` permission"):
            push(await host.remote(made), {".github/workflows/ci.yml": b"on: push\n"})


async def test_an_app_that_is_not_installed(on_github: Place) -> None:
    with pytest.raises(HostError) as refused:
        await tokens_of(on_github, account="erin").token()
    assert refused.value.reason is Reason.NOT_FOUND
    assert "erin" in refused.value.message
    assert "Install" in refused.value.remedy


async def test_a_suspended_installation(on_github: Place) -> None:
    assert on_github.server is not None
    tokens = tokens_of(on_github)
    for app in on_github.server.world.options["apps"].values():
        app["installations"]["acme"]["suspended"] = True
    with pytest.raises(HostError) as refused:
        await tokens.token()
    assert refused.value.reason is Reason.FORBIDDEN
    assert refused.value.remedy


async def test_the_key_of_another_app(on_github: Place) -> None:
    assert on_github.server is not None
    number, _ = surface(on_github).add_app("stepway", "acme", **RIGHTS)
    _, key = surface(on_github).add_app("other", "acme", **RIGHTS)
    with pytest.raises(HostError) as refused:
        await AppTokens(on_github.server.url, number, key, "acme").token()
    assert refused.value.reason is Reason.UNAUTHORIZED
    assert "key" in refused.value.remedy


@pytest.mark.parametrize(
    "key", ["", "secret-that-is-no-key", "-----BEGIN RSA PRIVATE KEY-----\nxx"]
)
async def test_a_key_that_cannot_be_read(on_github: Place, key: str) -> None:
    assert on_github.server is not None
    with pytest.raises(HostError) as refused:
        await AppTokens(on_github.server.url, "1", key, "acme").token()
    assert refused.value.reason is Reason.INVALID
    assert "secret-that" not in f"{refused.value}{refused.value.remedy}"


def wrong_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the worker's clock, not the host's, be ahead by some seconds."""
    monkeypatch.setattr(github_app, "time", SimpleNamespace(time=lambda: time.time() + seconds))


@pytest.mark.parametrize("seconds", [-400.0, 50.0])
async def test_a_clock_that_is_a_little_wrong_does_no_harm(
    on_github: Place, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    tokens = tokens_of(on_github)
    wrong_clock(monkeypatch, seconds)
    assert await tokens.token()


@pytest.mark.parametrize(
    ("seconds", "claim"), [(-900.0, "Expiration time"), (90.0, "Issued at"), (900.0, "Issued at")]
)
async def test_a_clock_that_is_wrong_is_named(
    on_github: Place, monkeypatch: pytest.MonkeyPatch, seconds: float, claim: str
) -> None:
    tokens = tokens_of(on_github)
    wrong_clock(monkeypatch, seconds)
    with pytest.raises(HostError) as refused:
        await tokens.token()
    assert refused.value.reason is Reason.UNAUTHORIZED
    assert claim in refused.value.message
    assert "clock of the worker" in refused.value.remedy


async def test_neither_key_nor_token_is_shown(on_github: Place) -> None:
    tokens = tokens_of(on_github)
    assert await tokens.token() not in repr(tokens)
    assert "PRIVATE" not in repr(vars(tokens))


async def test_steps_that_begin_at_once_share_a_token(on_github: Place) -> None:
    assert on_github.server is not None
    number, key = surface(on_github).add_app("stepway", "acme", **RIGHTS)
    all_tokens = [AppTokens(on_github.server.url, number, key, "acme") for _ in range(20)]
    made = await asyncio.gather(*(tokens.token() for tokens in all_tokens))
    assert len(set(made)) == 1
    assert len(on_github.server.requests(ASKED)) == 1
