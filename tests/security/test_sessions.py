"""Browser sessions: cookie, permissions and lifetime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest

from stepway.api.auth.tokens import Tokens
from tests.security.conftest import CONTROL, READ, Secured
from tests.support.servers import PATIENCE, eventually

SESSION = "/api/session"


@asynccontextmanager
async def signed_in(secured: Secured, who: str = "controller") -> AsyncIterator[httpx.AsyncClient]:
    """Return a client with that person's cookie and without a token."""
    async with secured.client() as client:
        answer = await client.post(SESSION, headers=secured.headers(who))
        assert answer.status_code == 201
        yield client


async def test_session_is_a_cookie_that_no_script_reads_and_no_other_site_sends(
    secured: Secured,
) -> None:
    async with secured.client("controller") as client:
        answer = await client.post(SESSION)
        cookie = answer.headers["set-cookie"].lower()
        assert cookie.startswith("stepway=")
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=/" in cookie
        assert answer.json()["name"] == "alice"
        assert secured.tokens["controller"] not in answer.text + cookie


async def test_by_https_the_cookie_is_bound_to_the_host(secured: Secured) -> None:
    async with secured.client("controller") as client:
        answer = await client.post(SESSION, headers={"X-Forwarded-Proto": "https"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-stepway=")
    assert "; Secure" in cookie
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_without_https_no_session_is_kept_for_another_machine(secured: Secured) -> None:
    async with secured.client("controller") as client:
        answer = await client.post(SESSION, headers={"Host": "stepway.example"})
    assert answer.status_code == 403
    assert "HTTPS" in answer.json()["detail"]


async def test_stream_opens_with_the_cookie_alone(secured: Secured) -> None:
    async with (
        signed_in(secured, "reader") as client,
        client.stream("GET", secured.events) as stream,
    ):
        assert stream.status_code == 200


async def test_who_i_am_is_told_without_and_with_a_session(secured: Secured) -> None:
    async with secured.client() as nobody, signed_in(secured, "reader") as reader:
        assert (await nobody.get(SESSION)).json() == {
            "required": True,
            "signed_in": False,
            "name": None,
            "groups": [],
            "scopes": [],
            "expires_at": None,
        }
        found = (await reader.get(SESSION)).json()
    assert (found["signed_in"], found["name"], found["scopes"]) == (True, "alice", ["read"])
    assert found["expires_at"]


async def test_session_that_was_ended_is_worth_nothing(secured: Secured) -> None:
    async with signed_in(secured) as client, secured.client() as thief:
        thief.cookies = httpx.Cookies(client.cookies)
        assert (await thief.get("/api/projects")).status_code == 200
        assert (await client.delete(SESSION)).status_code == 204
        assert (await client.get("/api/projects")).status_code == 401
        assert (await thief.get("/api/projects")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://portal.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_page_of_another_site_changes_nothing_with_the_cookie(
    secured: Secured, headers: dict[str, str]
) -> None:
    retry = f"/api/projects/{secured.project}/initialization/retry"
    async with signed_in(secured) as client:
        assert (await client.post(retry, headers=headers)).status_code == 403
        assert (await client.delete(SESSION, headers=headers)).status_code == 403
        assert (await client.get("/api/projects")).status_code == 200


async def test_own_page_may_change_things_with_the_cookie(secured: Secured) -> None:
    own = str(secured.http.base_url).rstrip("/")
    skip = f"/api/projects/{secured.project}/initialization/steps/doomed/skip"
    async with signed_in(secured) as client:
        answer = await client.post(skip, json={"surplus": True}, headers={"Origin": own})
    assert answer.status_code == 422


async def test_only_a_hash_of_token_and_cookie_is_kept(
    secured: Secured, pool: asyncpg.Pool
) -> None:
    async with signed_in(secured) as client:
        cookie = client.cookies["stepway"]
        rows = await pool.fetch(
            "SELECT t::text FROM tokens t UNION ALL SELECT s::text FROM sessions s"
        )
    kept = "\n".join(row[0] for row in rows)
    assert cookie not in kept
    assert secured.tokens["controller"] not in kept
    assert secured.tokens["controller"][:14] in kept


async def test_revoked_token_ends_its_sessions_and_open_streams_within_a_minute(
    secured: Secured, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepway.api.auth.guard.RECHECK", 0.2)
    token = await tokens.create("to be revoked", "alice", [READ, CONTROL])
    bearer = {"Authorization": f"Bearer {token}"}
    async with secured.client() as client, secured.client() as browser:
        assert (await browser.post(SESSION, headers=bearer)).status_code == 201
        async with (
            asyncio.timeout(PATIENCE),
            client.stream("GET", secured.events, headers=bearer) as stream,
            browser.stream("GET", secured.events) as watched,
        ):
            assert (stream.status_code, watched.status_code) == (200, 200)
            assert [each.owner for each in await tokens.revoke("to be revoked")] == ["alice"]
            await asyncio.gather(stream.aread(), watched.aread())
        assert (await client.get(secured.events, headers=bearer)).status_code == 401
        assert (await browser.get("/api/projects")).status_code == 401


async def test_last_use_is_noted_at_most_once_a_minute(
    secured: Secured, tokens: Tokens, pool: asyncpg.Pool
) -> None:
    token = await tokens.create("used", "alice", [READ])

    async def last_used() -> object:
        return await pool.fetchval("SELECT last_used_at FROM tokens WHERE name = 'used'")

    assert await last_used() is None
    async with secured.client() as client:
        for _ in range(2):
            answer = await client.get("/api/projects", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200
            first = await eventually(last_used)
        assert await last_used() == first
