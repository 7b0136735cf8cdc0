"""The attempts of a step are read page by page."""

from __future__ import annotations

import httpx

from stepway.cli.client.http import Api

PATH = "/api/projects/p/initialization/steps/build/attempts"


def served(request: httpx.Request) -> httpx.Response:
    """Five attempts, at most two a page, as of a server whose errors are long."""
    assert request.url.path == PATH
    after = int(request.url.params.get("after", 0))
    page = [{"attempt": number + 1} for number in range(5)][after : after + 2]
    rest = f'<{PATH}?after={after + 2}&limit=1000>; rel="next"' if after + 2 < 5 else None
    return httpx.Response(200, json=page, headers={"Link": rest} if rest else {})


def test_all_pages_are_read() -> None:
    api = Api("http://stepway", transport=httpx.MockTransport(served))
    assert [each["attempt"] for each in api.attempts("p", "build")] == [1, 2, 3, 4, 5]


def test_a_server_without_pages_is_asked_once() -> None:
    asked: list[str] = []

    def unpaged(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=[{"attempt": 1}])

    api = Api("http://stepway", transport=httpx.MockTransport(unpaged))
    assert len(list(api.attempts("p", "build"))) == len(asked) == 1
