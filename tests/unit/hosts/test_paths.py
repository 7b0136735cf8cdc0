"""Names that would lead to another object of the host are refused before a request is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from stepway.hosts.access import HostAccess, HostKind, StaticToken
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitea.host import GiteaHost
from stepway.hosts.github.client import GitHubHost
from stepway.hosts.gitlab.host import GitLabHost
from stepway.hosts.host import HostRepository, Permission, Visibility
from stepway.hosts.http import HostHttp
from stepway.hosts.paths import one_segment, segments

URL = "https://git.example.org"
REPOSITORY = HostRepository("7", "acme", "shop", "", "", "", "main", Visibility.PRIVATE)

Open = Callable[[httpx.AsyncClient], Any]


def _http(client: httpx.AsyncClient, kind: HostKind) -> tuple[HostHttp, HostAccess]:
    access = HostAccess(kind, URL, "git", "acme", StaticToken("t"))
    return HostHttp(client, access, f"{URL}/api", lambda *_: None), access


def gitea(client: httpx.AsyncClient) -> Any:
    return GiteaHost(*_http(client, HostKind.GITEA), ())


def gitlab(client: httpx.AsyncClient) -> Any:
    return GitLabHost(*_http(client, HostKind.GITLAB), ())


def github(client: httpx.AsyncClient) -> Any:
    return GitHubHost(*_http(client, HostKind.GITHUB), ())


class Streamed(httpx.AsyncByteStream):
    """A body that is read once, as from a host."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body


@pytest.mark.parametrize("name", ["", ".", "..", "a/../b", "../.."])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    for written in (one_segment, segments):
        with pytest.raises(HostError, match="cannot be a name") as caught:
            written(name)
        assert caught.value.reason is Reason.INVALID


def test_other_names_are_escaped() -> None:
    assert one_segment("feature/*") == "feature%2F%2A"
    assert one_segment("..a") == "..a"
    assert segments("feature/a b") == "feature/a%20b"


@pytest.mark.parametrize("name", ["", ".", "..", "../.."])
@pytest.mark.parametrize(
    ("open_host", "call"),
    [
        (gitea, lambda host, name: host.put_team(REPOSITORY, f"@acme/{name}", Permission.READ)),
        (gitea, lambda host, name: host.remove_team(REPOSITORY, name)),
        (gitea, lambda host, name: host.remove_collaborator(REPOSITORY, name)),
        (gitea, lambda host, name: host.unprotect_branch(REPOSITORY, name)),
        (gitea, lambda host, name: host.branch_head(REPOSITORY, name)),
        (gitea, lambda host, name: host.remove_secret(REPOSITORY, name)),
        (gitea, lambda host, name: host.branch_head(replace(REPOSITORY, name=name), "main")),
        (gitlab, lambda host, name: host.unprotect_branch(REPOSITORY, name)),
        (gitlab, lambda host, name: host.remove_variable(REPOSITORY, name)),
        (github, lambda host, name: host.remove_team(REPOSITORY, name)),
        (github, lambda host, name: host.remove_collaborator(REPOSITORY, name)),
        (github, lambda host, name: host.remove_secret(REPOSITORY, name)),
        (github, lambda host, name: host.branch_head(REPOSITORY, name)),
    ],
)
async def test_no_request_is_sent(open_host: Open, call: Callable[..., Any], name: str) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(HostError) as caught:
            await call(open_host(client), name)
    assert caught.value.reason is Reason.INVALID
    assert sent == []


async def test_a_path_with_dots_is_not_sent() -> None:
    access = HostAccess(HostKind.GITEA, URL, "git", "acme", StaticToken("t"))
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as c:
        http = HostHttp(c, access, URL, lambda *_: None)
        with pytest.raises(HostError, match=r"has a part"):
            await http.call("DELETE", "repos/acme/shop/teams/..")


@pytest.mark.parametrize(
    "place",
    [
        "/wiki/steal",
        "/gitlab/users/sign_in",
        "/gitlab/api/v4x/user",
        "/gitlab/api/v4/%2e%2e/%2e%2e/%2e%2e/wiki",
        f"{URL}/wiki/steal",
    ],
)
@pytest.mark.parametrize("named", ["redirect", "page"])
async def test_the_token_is_sent_to_no_other_part_of_the_host(named: str, place: str) -> None:
    sent: list[str] = []
    link = place if place.startswith("http") else f"{URL}{place}"

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        if named == "redirect":
            return httpx.Response(302, headers={"location": place}, stream=Streamed(b""))
        headers = {"link": f'<{link}>; rel="next"'}
        return httpx.Response(200, headers=headers, stream=Streamed(b"[]"))

    access = HostAccess(HostKind.GITLAB, f"{URL}/gitlab", "git", "acme", StaticToken("t"))
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        http = HostHttp(client, access, f"{URL}/gitlab/api/v4", lambda *_: None)
        with pytest.raises(HostError, match=r"refers to|has a part"):
            _ = [_ async for _ in http.pages("user")]
    assert sent == ["/gitlab/api/v4/user"]


async def test_a_redirect_within_the_api_is_followed() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/gitlab/api/v4/old":
            headers = {"location": "/gitlab/api/v4/new"}
            return httpx.Response(301, headers=headers, stream=Streamed(b""))
        return httpx.Response(200, stream=Streamed(b'{"at": "new"}'))

    access = HostAccess(HostKind.GITLAB, f"{URL}/gitlab", "git", "acme", StaticToken("t"))
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        http = HostHttp(client, access, f"{URL}/gitlab/api/v4", lambda *_: None)
        assert await http.call("GET", "old") == {"at": "new"}
