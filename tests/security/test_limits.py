"""Limits on requests, starts and streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepway.api.auth.limits import REQUEST_BYTES
from stepway.api.auth.tokens import Tokens
from stepway.runtime.scopes import Scope
from stepway.runtime.settings import Settings
from tests.security.conftest import Secured
from tests.support.servers import Stepway, running_stepway, write_blueprint


def body(**parameters: Any) -> dict[str, Any]:
    return {"name": "too-much", "parameters": parameters}


@pytest.mark.parametrize("chunked", [False, True])
async def test_request_that_is_too_large_is_not_read(secured: Secured, chunked: bool) -> None:
    large = b'{"name": "' + b"x" * REQUEST_BYTES + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    json = {"Content-Type": "application/json"}
    async with secured.client("controller") as client:
        answer = await client.post(
            "/api/projects", content=chunks() if chunked else large, headers=json
        )
    assert answer.status_code == 413
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "shop", "parameters": ' + b'{"a":' * 100 + b"1" + b"}" * 101,
        b'{"name": "shop", "parameters": ' + b'{"a":' * 40_000 + b"1" + b"}" * 40_001,
        b'{"name": "shop", "parameters": {"a": "\\u0000"}}',
        b'{"name": "shop", "parameters": {"\\u0000": 1}}',
        b'{"name": "shop", "parameters": {"a": "\\ud800"}}',
        b'{"name": "shop", "parameters": {"a": NaN}}',
        b'{"name": "shop", "parameters": {"a": 1e999}}',
        b'{"name": "shop", "parameters": {"a": ' + b"9" * 5000 + b"}}",
        b'{"name": "shop\\u0000"}',
        b'{"name": "shop", "blueprint": "\\u0000"}',
        b'{"name": "shop", "owner": "\\ud800"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda content: content[31:50],
)
async def test_body_that_makes_no_sense_is_refused(secured: Secured, content: bytes) -> None:
    json = {"Content-Type": "application/json"}
    async with secured.client("controller") as client:
        answer = await client.post("/api/projects", content=content, headers=json)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.fixture
async def limited(
    secured_settings: Settings, tmp_path: Path
) -> AsyncIterator[tuple[Stepway, dict[str, Any]]]:
    """A Stepway with low limits, and the body that starts its blueprint."""
    narrow = {"starts_per_minute": 3, "unfinished_per_owner": 2, "streams_per_owner": 2}
    settings = secured_settings.model_copy(update=narrow)
    blueprint = write_blueprint(tmp_path, [{"step": "waits", "uses": "broken"}])
    async with running_stepway(settings, tmp_path) as stepway:
        yield stepway, {"blueprint": blueprint}


def assert_later(answer: httpx.Response, seconds: range) -> None:
    """Assert that the response has Retry-After."""
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["Retry-After"]) in seconds


async def test_starts_and_what_has_not_ended_are_limited_for_each_owner(
    limited: tuple[Stepway, dict[str, Any]], people: dict[str, str]
) -> None:
    stepway, start = limited
    carol = {"Authorization": f"Bearer {people['member']}"}
    zoe = {"Authorization": f"Bearer {people['neighbour']}"}
    for name in ("one", "two"):
        made = await stepway.http.post(
            "/api/projects", json={"name": f"limit-{name}", **start}, headers=carol
        )
        assert made.status_code == 201, made.text
    third = {"name": "limit-three", **start}
    assert_later(await stepway.http.post("/api/projects", json=third, headers=carol), range(60, 61))
    assert_later(await stepway.http.post("/api/projects", json=third, headers=carol), range(1, 21))
    other = await stepway.http.post("/api/projects", json=third, headers=zoe)
    assert other.status_code == 201


async def test_repeats_of_a_start_are_not_limited(
    limited: tuple[Stepway, dict[str, Any]], tokens: Tokens
) -> None:
    stepway, start = limited
    # Other tests use up what the other people may start.
    token = await tokens.create("t", "fiona", [Scope.READ, Scope.CREATE])
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "the-same"}
    named = {"name": "limit-repeated", **start}
    answers = [
        await stepway.http.post("/api/projects", json=named, headers=headers) for _ in range(6)
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 200]


async def test_streams_are_limited_for_each_owner(
    secured: Secured, limited: tuple[Stepway, dict[str, Any]]
) -> None:
    stepway, _ = limited
    reader, admin = secured.headers("reader"), secured.headers("admin")
    async with AsyncExitStack() as stack:
        for _ in range(2):
            opened = stepway.http.stream("GET", secured.events, headers=reader)
            assert (await stack.enter_async_context(opened)).status_code == 200
        assert_later(await stepway.http.get(secured.events, headers=reader), range(1, 11))
        opened = stepway.http.stream("GET", secured.events, headers=admin)
        assert (await stack.enter_async_context(opened)).status_code == 200


async def test_followed_logs_are_streams_too(
    secured: Secured, limited: tuple[Stepway, dict[str, Any]]
) -> None:
    stepway, _ = limited
    alice = secured.headers("controller")
    log = f"/api/projects/{secured.project}/initialization/steps/doomed/logs"
    follow = {"follow": "true"}
    # Each ends before the next one begins.
    for _ in range(4):
        assert (await stepway.http.get(log, params=follow, headers=alice)).status_code == 200
    async with AsyncExitStack() as stack:
        for _ in range(2):
            opened = stepway.http.stream("GET", secured.events, headers=alice)
            assert (await stack.enter_async_context(opened)).status_code == 200
        assert_later(await stepway.http.get(log, params=follow, headers=alice), range(1, 11))
        assert (await stepway.http.get(log, headers=alice)).status_code == 200


async def test_last_line_of_a_log_is_a_number_that_fits(secured: Secured) -> None:
    log = f"/api/projects/{secured.project}/initialization/steps/doomed/logs"
    async with secured.client("controller") as client:
        for last in ("99999999999999999999999", "-1", "x"):
            answer = await client.get(log, headers={"Last-Event-ID": last})
            assert answer.status_code in (400, 422)
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["limit=201", "limit=0", "limit=x", "cursor=nonsense"])
async def test_page_of_a_list_is_limited(secured: Secured, query: str) -> None:
    async with secured.client("reader") as client:
        assert (await client.get(f"/api/projects?{query}")).status_code in (400, 422)
