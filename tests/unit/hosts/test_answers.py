"""Answers of hosts take a bounded amount of memory, whatever they decompress to."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from stepway.hosts.access import HostAccess, HostKind, StaticToken
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.oauth import OAuthApplication, OAuthTokens, RefreshedToken
from stepway.hosts.http import HostHttp
from stepway.net import answers

URL = "https://git.example.org"


class Streamed(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body


def client(body: bytes, status: int = 200, **headers: str) -> httpx.AsyncClient:
    """A client whose requests get this answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "gzip"
        return httpx.Response(status, headers=named, stream=Streamed(body))

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


async def called(body: bytes, status: int = 200, token: str = "t", **headers: str) -> Any:
    """Return what a call of the API returns."""
    access = HostAccess(HostKind.GITEA, URL, "git", "acme", StaticToken(token))
    async with client(body, status, **headers) as http:
        return await HostHttp(http, access, URL, lambda *_: None).call("GET", "user")


async def refused(body: bytes, status: int = 200, token: str = "t", **headers: str) -> HostError:
    """Return the error of a call of the API."""
    with pytest.raises(HostError) as caught:
        await called(body, status, token, **headers)
    return caught.value


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
async def test_gzip_is_decompressed(encoding: str) -> None:
    assert await called(gzip.compress(b'{"id": 7}'), content_encoding=encoding) == {"id": 7}
    assert await called(b"", 204, content_encoding=encoding) is None


@pytest.mark.parametrize(
    ("encoding", "body", "why"),
    [
        ("gzip", gzip.compress(b'"' + b"x" * 200_000 + b'"'), "is too large"),
        ("", b'"' + b"x" * 200_000 + b'"', "is too large"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), "was not asked for"),
        ("br", b"{}", "was not asked for"),
        ("gzip", b"{}", "is not gzip"),
        ("gzip", gzip.compress(b"{}")[:-4], "is not gzip"),
        ("gzip", gzip.compress(b"{}") * 2, "is not gzip"),
    ],
)
async def test_other_answers_are_refused(
    monkeypatch: pytest.MonkeyPatch, encoding: str, body: bytes, why: str
) -> None:
    monkeypatch.setattr(answers, "LARGEST_ANSWER", 100_000)
    error = await refused(body, content_encoding=encoding)
    assert (error.reason, error.may_succeed_later) == (Reason.NOT_JSON, True)
    assert why in error.message


def oauth(http: httpx.AsyncClient, kept: list[OAuthTokens] | None = None) -> RefreshedToken:
    """The tokens of GitLab, which have to be refreshed; `kept` gets the new pair."""

    async def load() -> OAuthTokens:
        return OAuthTokens("old", "refresh", datetime.now(UTC))

    async def store(tokens: OAuthTokens) -> None:
        if kept is not None:
            kept.append(tokens)

    return RefreshedToken(http, OAuthApplication(URL, "stepway", "s"), "gl", load, store)


async def test_the_answer_of_a_refresh_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LARGEST_ANSWER", 100_000)
    body = json.dumps({"access_token": "x" * 200_000, "refresh_token": "r"}).encode()
    async with client(gzip.compress(body), content_encoding="gzip") as http:
        with pytest.raises(HostError) as caught:
            await oauth(http).token()
    assert caught.value.may_succeed_later


@pytest.mark.parametrize("depth", [65, 400, 100_000])
async def test_json_that_is_too_deep_is_no_answer_of_an_api(depth: int) -> None:
    for status, end in ((200, b"1"), (400, b"1"), (500, b"")):
        error = await refused(b'{"message":' * depth + end + b"}" * depth, status)
        assert error.reason in (Reason.NOT_JSON, Reason.SERVER_ERROR)
        assert error.may_succeed_later


async def test_the_answer_of_a_refresh_that_is_too_deep() -> None:
    async with client(b"[" * 100_000) as http:
        with pytest.raises(HostError) as caught:
            await oauth(http).token()
    assert caught.value.reason is Reason.NOT_JSON


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (7200, 7200),
        ("3600", 3600),
        (None, 7200),
        (-5, 7200),
        (0, 7200),
        (60, 7200),
        ("soon", 7200),
        ([], 7200),
        (1e300, 86_400),
        (10**400, 7200),
        ("nan", 7200),
    ],
)
async def test_a_refresh_may_name_a_strange_lifetime(given: Any, seconds: int) -> None:
    kept: list[OAuthTokens] = []
    answer = {"access_token": "new", "refresh_token": "next", "expires_in": given}
    async with client(json.dumps(answer).encode()) as http:
        assert await oauth(http, kept).token() == "new"
    (pair,) = kept
    assert pair.refresh == "next"
    assert abs((pair.expires_at - datetime.now(UTC)).total_seconds() - seconds) < 60


async def test_a_refresh_may_keep_the_refresh_token() -> None:
    kept: list[OAuthTokens] = []
    async with client(b'{"access_token": "new"}') as http:
        await oauth(http, kept).token()
    assert kept[0].refresh == "refresh"


@pytest.mark.parametrize("answer", ["{}", '{"access_token": 7}', '{"access_token": ""}', "[]"])
async def test_a_refresh_without_a_token_may_be_tried_again(answer: str) -> None:
    async with client(answer.encode()) as http:
        with pytest.raises(HostError) as caught:
            await oauth(http).token()
    assert caught.value.may_succeed_later
    assert "credential gl" in caught.value.message


@pytest.mark.parametrize("location", ["http://[bad", "//[bad"])
async def test_a_redirect_to_no_url(location: str) -> None:
    assert "not a URL" in (await refused(b"", 307, location=location)).message


@pytest.mark.parametrize("page", ["http://[bad", "https://git.example.org/\x7f"])
async def test_a_next_page_that_is_no_url(page: str) -> None:
    access = HostAccess(HostKind.GITEA, URL, "git", "acme", StaticToken("t"))
    async with client(b"[]", link=f'<{page}>; rel="next"') as http:
        with pytest.raises(HostError, match="not a URL"):
            _ = [_ async for _ in HostHttp(http, access, URL, lambda *_: None).pages("repos")]


@pytest.mark.parametrize("token", ["s3cretü", "s3cret\n", "s3cret\x01", " s3cret", ""])
async def test_a_token_that_http_does_not_allow_is_not_shown(token: str) -> None:
    error = await refused(b"{}", token=token)
    assert (error.reason, error.may_succeed_later) == (Reason.UNAUTHORIZED, False)
    assert "The token of the credential git has other characters" in error.message
    assert "s3cret" not in error.message


@pytest.mark.parametrize("given", ["0", "-3", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_a_limit_whose_wait_has_passed_holds_other_steps_for_a_minute(given: str) -> None:
    assert (await refused(b"{}", 429, retry_after=given)).retry_after == 60.0
