"""Answers are kept within bounds, each for its own token."""

from __future__ import annotations

import httpx

from stepway.hosts import kept
from stepway.hosts.kept import MOST_BYTES, KeptAnswers, answers_of


def answer(body: bytes = b"{}", status: int = 200, **headers: str) -> httpx.Response:
    given = {"etag": '"a"', **headers}
    return httpx.Response(status, headers=given, content=body)


def test_the_oldest_answers_make_room() -> None:
    answers = KeptAnswers()
    body = b"x" * 60_000
    for number in range(100):
        answers.keep(f"https://git.example/{number}", answer(body))
    found = [number for number in range(100) if answers.find(f"https://git.example/{number}")]
    assert found == list(range(100 - MOST_BYTES // len(body), 100))


def test_what_is_large_gone_or_without_an_etag_is_not_kept() -> None:
    answers, url = KeptAnswers(), "https://git.example/a"
    for other in (answer(b"x" * 100_000), answer(status=404), answer(etag="")):
        answers.keep(url, answer())
        assert answers.find(url) is not None
        answers.keep(url, other)
        assert answers.find(url) is None


def test_the_tokens_used_last_are_kept() -> None:
    first = answers_of("Bearer first")
    first.keep("https://git.example/a", answer())
    assert answers_of("Bearer first") is first
    assert answers_of("Bearer other").find("https://git.example/a") is None
    for number in range(kept.MOST_TOKENS):
        answers_of(f"Bearer {number}")
    assert answers_of("Bearer first") is not first
    assert not [digest for digest in kept._answers if "Bearer" in digest]


def test_headers_are_those_of_now() -> None:
    answers, url = KeptAnswers(), "https://git.example/a"
    old = httpx.Headers({"etag": '"a"', "x-oauth-scopes": "repo", "link": "<b>; rel=next"})
    answers.keep(url, httpx.Response(200, headers=old, content=b'{"a": 1}'))
    found = answers.find(url)
    assert found is not None
    request = httpx.Request("GET", url)
    now = httpx.Response(304, headers={"x-oauth-scopes": "repo, workflow"}, request=request)
    renewed = found.renewed(now)
    assert (renewed.status_code, renewed.json()) == (200, {"a": 1})
    assert renewed.headers["x-oauth-scopes"] == "repo, workflow"
    assert renewed.headers["link"] == "<b>; rel=next"
