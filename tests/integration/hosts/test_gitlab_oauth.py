"""OAuth tokens of GitLab are refreshed before they end, and are not lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from stepway.hosts.access import HostAccess, HostKind
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.host import open_gitlab
from stepway.hosts.gitlab.oauth import OAuthApplication, OAuthTokens, RefreshedToken
from stepway.hosts.http import http_client
from tests.support.githost.answers import Answer
from tests.support.githost.gitlab import GitLabSurface, add_oauth_tokens
from tests.support.githost.server import Host, running_host

REFRESH = "POST /oauth/token$"


@pytest.fixture
def host() -> Iterator[Host]:
    with running_host(GitLabSurface) as host:
        host.world.add_account("erin")
        yield host
        assert host.violations == []


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client() as client:
        yield client


class Vault:
    """Where the pair of tokens is kept."""

    def __init__(self, host: Host, lasts: timedelta) -> None:
        token, refresh = add_oauth_tokens(host.world, "erin", {"api"}, lasts)
        self.kept = OAuthTokens(token.value, refresh, datetime.now(UTC) + lasts)
        self.first = self.kept
        self.failures = 0

    async def load(self) -> OAuthTokens:
        return self.kept

    async def store(self, tokens: OAuthTokens) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is away")
        self.kept = tokens

    def source(self, client: httpx.AsyncClient, host: Host, app: str = "stepway") -> RefreshedToken:
        application = OAuthApplication(host.url, app, "secret")
        return RefreshedToken(client, application, "gl", self.load, self.store)


async def test_keeps_a_token_with_five_minutes_left(client: httpx.AsyncClient, host: Host) -> None:
    vault = Vault(host, timedelta(minutes=6))
    assert await vault.source(client, host).token() == vault.first.access
    assert not host.requests(REFRESH)


async def test_refreshes_a_token_before_its_end_and_stores_the_new_pair(
    client: httpx.AsyncClient, host: Host
) -> None:
    vault = Vault(host, timedelta(minutes=4))
    source = vault.source(client, host)
    tokens = await asyncio.gather(*(source.token() for _ in range(5)))
    assert set(tokens) == {vault.kept.access}
    assert vault.kept.refresh != vault.first.refresh
    assert vault.kept.expires_at > datetime.now(UTC) + timedelta(minutes=110)
    assert len(host.requests(REFRESH)) == 1
    form = host.requests(REFRESH)[0].body
    assert b"grant_type=refresh_token" in form
    assert b"client_secret=secret" in form


async def test_the_refreshed_token_is_accepted(client: httpx.AsyncClient, host: Host) -> None:
    vault = Vault(host, timedelta(minutes=-1))
    access = HostAccess(HostKind.GITLAB, host.url, "gl", "erin", vault.source(client, host))
    async with open_gitlab(access) as gitlab:
        identity = await gitlab.identity()
    assert identity.account == "erin"
    assert identity.scopes == frozenset({"api"})
    assert identity.expires_at is None


async def test_a_token_that_was_revoked_is_refreshed_at_once(
    client: httpx.AsyncClient, host: Host
) -> None:
    vault = Vault(host, timedelta(hours=2))
    host.world.tokens[vault.first.access].revoked = True
    access = HostAccess(HostKind.GITLAB, host.url, "gl", "erin", vault.source(client, host))
    async with open_gitlab(access) as gitlab:
        assert (await gitlab.identity()).account == "erin"
    assert len(host.requests(REFRESH)) == 1


async def test_uses_the_pair_that_another_process_has_stored(
    client: httpx.AsyncClient, host: Host
) -> None:
    vault = Vault(host, timedelta(minutes=4))
    mine, other = vault.source(client, host), vault.source(client, host)
    assert await mine.token() == await other.token()
    assert len(host.requests(REFRESH)) == 1


async def test_waits_for_another_process_that_refreshes_at_the_same_time(
    client: httpx.AsyncClient, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(host, timedelta(minutes=4))
    # The other one has used the refresh token, and stores the new pair a little later.
    token, refresh = add_oauth_tokens(host.world, "erin", {"api"})
    del host.world.options["refresh_tokens"][vault.first.refresh]
    newer = OAuthTokens(token.value, refresh, datetime.now(UTC) + timedelta(hours=2))
    found = [vault.first, vault.first, newer]

    async def load() -> OAuthTokens:
        return found.pop(0)

    monkeypatch.setattr(vault, "load", load)
    assert await vault.source(client, host).token() == newer.access
    assert len(host.requests(REFRESH)) == 1


async def test_stores_the_pair_again_when_the_store_was_away(
    client: httpx.AsyncClient, host: Host
) -> None:
    vault = Vault(host, timedelta(minutes=4))
    vault.failures = 1
    source = vault.source(client, host)
    with pytest.raises(ConnectionError):
        await source.token()
    assert await source.token() == vault.kept.access != vault.first.access
    assert len(host.requests(REFRESH)) == 1


async def test_a_cancelled_step_does_not_lose_the_pair(
    client: httpx.AsyncClient, host: Host
) -> None:
    vault = Vault(host, timedelta(minutes=4))
    host.faults.add(REFRESH, delay=0.5)
    source = vault.source(client, host)
    step = asyncio.ensure_future(source.token())
    await asyncio.sleep(0.1)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert await source.token() == vault.kept.access != vault.first.access
    assert len(host.requests(REFRESH)) == 1


async def test_says_that_the_account_must_be_connected_again(
    client: httpx.AsyncClient, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepway.hosts.gitlab.oauth._PAUSES", (0.0,))
    vault = Vault(host, timedelta(minutes=4))
    host.world.options["refresh_tokens"].clear()
    with pytest.raises(HostError, match="does not refresh") as caught:
        await vault.source(client, host).token()
    assert caught.value.reason is Reason.UNAUTHORIZED
    assert "Connect the account again" in caught.value.remedy
    with pytest.raises(HostError, match="unknown client"):
        await vault.source(client, host, "other").token()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(503, "<html>Down</html>"), Reason.SERVER_ERROR),
        (Answer(429, "Retry later"), Reason.RATE_LIMITED),
        (Answer(200, "<html>Sign in</html>"), Reason.NOT_JSON),
        (None, Reason.UNREACHABLE),
    ],
)
async def test_an_outage_may_pass(
    client: httpx.AsyncClient, host: Host, answer: Answer | None, reason: Reason
) -> None:
    vault = Vault(host, timedelta(minutes=4))
    host.faults.add(REFRESH, answer, lost=answer is None)
    source = vault.source(client, host)
    with pytest.raises(HostError, match="could not be refreshed") as caught:
        await source.token()
    assert caught.value.reason is reason
    assert caught.value.may_succeed_later
    assert await source.token() == vault.kept.access


async def test_tokens_are_not_shown(host: Host) -> None:
    vault = Vault(host, timedelta(minutes=4))
    shown = repr(vault.kept) + repr(OAuthApplication(host.url, "stepway", "hush"))
    assert vault.kept.access not in shown
    assert vault.kept.refresh not in shown
    assert "hush" not in shown
