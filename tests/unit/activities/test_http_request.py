"""http_request with real servers on this machine, and the addresses that it must not reach."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway.activities.http.guard import Guard
from stepway.activities.http.http_request import (
    LARGEST,
    HttpAnswer,
    HttpRequestInput,
    HttpSteps,
    SecretHeader,
)
from stepway.activities.project import ProjectRef
from stepway.vault.kinds import PLAIN, CredentialKind, Target
from stepway.vault.vault import Secret
from stepway_tracking.record.errors import LONGEST_WAIT, RATE_LIMITED, STEP_FAILED

PROJECT = ProjectRef(str(uuid4()), "shop", "erin")
HERE = ["127.0.0.0/8"]
SECRET = "s3cret-of-the-hook"


@dataclass
class Credentials:
    target: Target = PLAIN
    value: str = SECRET

    async def open(self, name: str, project: ProjectRef) -> Secret:
        assert (name, project) == ("hook", PROJECT)
        return Secret("bot", self.value, self.target)


@dataclass
class Site:
    """A server; `answers` are (status, headers, body) by path, in their order."""

    url: str
    answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    servers, found = [], []
    for _ in range(2):
        site = Site("")

        class Handler(BaseHTTPRequestHandler):
            here = site

            def handle_one(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(size)
                self.here.requests.append((self.command, self.path, headers, body))
                status, more, answer = self.here.answers[self.path].pop(0)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_HEAD = handle_one

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        site.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        found.append(site)
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


async def send(
    url: str, allowed: list[str] = HERE, *, stored: Credentials | None = None, **more: Any
) -> HttpAnswer:
    steps = HttpSteps(stored or Credentials(), Guard(allowed))  # type: ignore[arg-type]
    given = HttpRequestInput(PROJECT, url, **more)
    return await ActivityEnvironment().run(steps.http_request, given)


async def failed(url: str, allowed: list[str] = HERE, **more: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await send(url, allowed, **more)
    assert SECRET not in f"{caught.value}{caught.value.details}"
    return caught.value


async def test_a_body_and_a_secret_header_arrive_and_the_json_comes_back(sites):
    site = sites[0]
    site.answers["/hooks"] = [(201, {}, json.dumps({"id": 7}).encode())]
    answer = await send(
        f"{site.url}/hooks",
        method="POST",
        headers={"Authorization": SecretHeader("hook", "Bearer "), "X-Count": 3},
        body={"name": "商店"},
    )
    assert answer == HttpAnswer(201, {"id": 7}, "", f"{site.url}/hooks")
    ((method, _, headers, body),) = site.requests
    assert (method, json.loads(body)) == ("POST", {"name": "商店"})
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["content-type"] == "application/json"
    assert (headers["x-count"], headers["host"]) == ("3", site.url.removeprefix("http://"))


async def test_all_attempts_have_the_same_idempotency_key(sites):
    site = sites[0]
    site.answers["/hooks"] = [(502, {}, b""), (200, {}, b"done")]
    error = await failed(f"{site.url}/hooks", method="POST", body="x")
    assert (error.non_retryable, error.message) == (False, "127.0.0.1 answered 502 Bad Gateway")
    assert (await send(f"{site.url}/hooks", method="POST", body="x")).text == "done"
    assert len({headers["idempotency-key"] for _, _, headers, _ in site.requests}) == 1


async def test_a_status_that_is_not_expected_is_final_with_the_answer_as_details(sites):
    sites[0].answers["/a"] = [(404, {}, b"no such hook"), (404, {}, b"")]
    error = await failed(f"{sites[0].url}/a")
    assert error.non_retryable
    assert error.details[0]["details"] == {"answer": "no such hook"}
    assert (await send(f"{sites[0].url}/a", expected=[404])).status == 404


async def test_a_limit_is_waited_for(sites):
    sites[0].answers["/a"] = [(429, {"Retry-After": "17"}, b"")]
    error = await failed(f"{sites[0].url}/a")
    assert error.type == RATE_LIMITED
    assert error.next_retry_delay.total_seconds() == 17


@pytest.mark.parametrize(
    ("method", "status", "body", "next_method"),
    [("PUT", 307, None, "PUT"), ("POST", 302, "text", "GET"), ("POST", 303, "text", "GET")],
)
async def test_a_redirect_to_another_origin_gets_no_header(
    sites, method, status, body, next_method
):
    first, second = sites
    first.answers["/a"] = [(status, {"Location": f"{second.url}/b"}, b"")]
    second.answers["/b"] = [(200, {}, b"here")]
    headers = {"X-Key": SecretHeader("hook"), "X-Plain": "1", "User-Agent": "mine"}
    answer = await send(f"{first.url}/a", method=method, headers=headers, body=body)
    assert (answer.text, answer.url) == ("here", f"{second.url}/b")
    ((method, _, got, sent),) = second.requests
    assert (method, sent, got["user-agent"]) == (next_method, b"", "stepway")
    assert not {"x-key", "x-plain", "idempotency-key", "content-type"} & set(got)


@pytest.mark.parametrize(("method", "status"), [("POST", 307), ("POST", 308), ("PUT", 302)])
async def test_a_redirect_to_another_origin_gets_no_body(sites, method, status):
    first, second = sites
    first.answers["/a"] = [(status, {"Location": f"{second.url}/b"}, b"")]
    error = await failed(f"{first.url}/a", method=method, body={"key": "value"})
    assert error.non_retryable
    assert "redirects to 127.0.0.1, which does not get the body" in error.message
    assert second.requests == []


async def test_a_redirect_within_the_origin_gets_the_body_and_all_headers(sites):
    site = sites[0]
    site.answers["/a"] = [(307, {"Location": "/b"}, b"")]
    site.answers["/b"] = [(200, {}, b"here")]
    headers = {"X-Key": SecretHeader("hook"), "X-Plain": "1"}
    await send(f"{site.url}/a", method="PUT", headers=headers, body="text")
    method, _, got, body = site.requests[1]
    assert (method, body, got["x-plain"], got["x-key"]) == ("PUT", b"text", "1", SECRET)


async def test_a_redirect_is_checked_like_the_address_itself(sites):
    port = sites[0].url.rpartition(":")[2]
    sites[0].answers["/a"] = [(302, {"Location": f"{sites[1].url}/b"}, b"")]
    error = await failed(f"{sites[0].url}/a", [f"127.0.0.1:{port}"])
    assert "must not be reached" in error.message
    assert sites[1].requests == []


async def test_redirects_in_a_circle_end(sites):
    sites[0].answers["/a"] = [(302, {"Location": "/a"}, b"")] * 9
    assert "redirects more than" in (await failed(f"{sites[0].url}/a")).message


async def test_an_answer_that_is_too_large_is_refused(sites):
    sites[0].answers["/a"] = [(200, {}, b"x" * (LARGEST + 1))]
    assert "has more than 256 kB" in (await failed(f"{sites[0].url}/a")).message


async def test_the_connection_goes_to_the_address_that_was_checked(sites, monkeypatch):
    site = sites[0]
    port = int(site.url.rpartition(":")[2])
    site.answers["/a"] = [(200, {}, b"here")]
    asked = []

    def resolve(host, *_, **__):
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    answer = await send(f"http://hooks.example.org:{port}/a", ["hooks.example.org"])
    assert answer.text == "here"
    assert asked == ["hooks.example.org"]
    assert site.requests[0][2]["host"] == f"hooks.example.org:{port}"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://127.1/",
        "http://0.0.0.0/",
        "http://10.1.2.3/",
        "http://192.168.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/",
        "http://[::1]/",
        "http://[::]/",
        "http://[fd00::1]/",
        "http://[fe80::1]/",
        "http://[fec0::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://[2002:a00:1::]/",
        "http://[64:ff9b:1::a00:1]/",
        "http://[64:ff9b:1:a00:0:100::]/",
        "http://[::10.0.0.1]/",
        "http://[::93.184.215.14]/",
        "http://[::ffff:0:10.0.0.1]/",
        "http://224.0.0.1/",
    ],
)
@pytest.mark.parametrize("allowed", [[], ["*"], ["example.org"]])
async def test_private_addresses_are_refused_unless_listed(url, allowed):
    error = await failed(url, allowed)
    assert error.non_retryable
    assert "must not be reached" in error.message
    assert "STEPWAY_HTTP_HOSTS" in error.details[0]["remedy"]


@pytest.mark.parametrize(
    ("allowed", "host", "port", "address", "is_allowed"),
    [
        ([], "example.org", 443, "93.184.215.14", True),
        (["*"], "example.org", 443, "93.184.215.14", True),
        (["other.org"], "example.org", 443, "93.184.215.14", False),
        (["*.corp.example"], "a.corp.example", 443, "10.0.0.1", True),
        (["*.corp.example"], "corp.example", 443, "10.0.0.1", False),
        (["*.corp.example"], "evilcorp.example", 443, "10.0.0.1", False),
        (["a.corp.example:8443"], "a.corp.example", 443, "10.0.0.1", False),
        (["a.corp.example:8443"], "A.corp.example.", 8443, "10.0.0.1", True),
        (["10.0.0.0/8"], "a.corp.example", 80, "10.9.9.9", True),
        (["10.0.0.0/8", "*"], "example.org", 80, "93.184.215.14", True),
        (["10.0.0.0/8"], "a.corp.example", 80, "192.168.0.1", False),
        (["[fd00::1]:8080"], "a", 8080, "fd00::1", True),
    ],
)
async def test_the_list_of_hosts(monkeypatch, allowed, host, port, address, is_allowed):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    guard = Guard(allowed)
    if is_allowed:
        assert (await guard.pinned(f"https://{host}:{port}/")).address == address
    else:
        with pytest.raises(ApplicationError, match="must not be reached"):
            await guard.pinned(f"https://{host}:{port}/")


async def test_a_name_with_one_private_address_is_refused(monkeypatch):
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))
        for address in ("93.184.215.14", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ApplicationError, match=r"example\.org \(10\.0\.0\.1\) must not be"):
        await Guard([]).pinned("https://example.org/")


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "file:///etc/passwd", "https:///x", "https://a:b@c/", "x", ""]
)
async def test_an_address_of_another_kind_is_refused(url):
    assert "`url` cannot be used" in (await failed(url)).message


@pytest.mark.parametrize("headers", [{"Host": "x"}, {"a b": "x"}, {"X": "a\r\nY: b"}])
async def test_headers_that_would_change_the_request_are_refused(headers, sites):
    assert "cannot be sent" in (await failed(f"{sites[0].url}/a", headers=headers)).message
    assert sites[0].requests == []


@pytest.mark.parametrize(
    "address", ["{other}", "{site}/team", "{site}/a/b", "https://{host}", "ssh://git@{host}"]
)
async def test_a_credential_is_sent_to_its_own_address_only(sites, address):
    site, other = sites
    host = site.url.removeprefix("http://")
    target = Target(None, address.format(site=site.url, other=other.url, host=host))
    stored = Credentials(target)
    for path in ("/a", "/teams/a", "/team/../a", "/team/%2e%2E/a"):
        headers = {"X-Key": SecretHeader("hook")}
        error = await failed(f"{site.url}{path}", stored=stored, headers=headers)
        assert error.non_retryable
        assert f"'hook' is for {target.url} only, so it is not sent to 127.0.0.1" in error.message
    assert site.requests == other.requests == []


@pytest.mark.parametrize("path", ["", "/", "/team", "/team/"])
async def test_a_credential_is_sent_below_its_address(sites, path):
    site = sites[0]
    site.answers["/team/a"] = [(200, {}, b"")]
    stored = Credentials(Target(CredentialKind.BASIC, f"{site.url}{path}"))
    await send(f"{site.url}/team/a", stored=stored, headers={"X-Key": SecretHeader("hook")})
    assert site.requests[0][2]["x-key"] == SECRET


async def test_a_token_of_github_is_sent_to_its_api(monkeypatch):
    stored = Credentials(Target(CredentialKind.GITHUB, "https://github.com"))
    headers = {"Authorization": SecretHeader("hook", "Bearer ")}
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    error = await failed("https://api.github.com/user", [], stored=stored, headers=headers)
    assert "api.github.com (10.0.0.1) must not be reached" in error.message
    error = await failed("https://api.github.com.example.org/", stored=stored, headers=headers)
    assert "is for https://github.com and https://api.github.com only" in error.message


async def test_a_redirect_out_of_a_credentials_path_gets_no_secret(sites):
    site = sites[0]
    site.answers["/team/a"] = [(302, {"Location": "/team/b"}, b"")]
    site.answers["/team/b"] = [(302, {"Location": "/c"}, b"")]
    site.answers["/c"] = [(200, {}, b"")]
    stored = Credentials(Target(None, f"{site.url}/team"))
    await send(f"{site.url}/team/a", stored=stored, headers={"X-Key": SecretHeader("hook")})
    assert ["x-key" in headers for _, _, headers, _ in site.requests] == [True, True, False]


async def test_a_credential_is_not_sent_without_encryption(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    headers = {"X-Key": SecretHeader("hook")}
    here = await failed("http://example.org:1/", ["example.org"], headers=headers)
    assert "cannot be reached" in here.message
    found[0] = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 1))
    error = await failed("http://example.org:1/", ["example.org"], headers=headers)
    assert error.non_retryable
    assert "not sent to example.org without encryption; use https://" in error.message


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br", " GZIP"])
async def test_a_compressed_answer_is_refused(sites, encoding):
    body = gzip.compress(b"x" * 10)
    sites[0].answers["/a"] = [(200, {"Content-Encoding": encoding}, body)]
    error = await failed(f"{sites[0].url}/a")
    assert error.non_retryable
    assert "compressed" in error.message
    assert sites[0].requests[0][2]["accept-encoding"] == "identity"


async def test_a_plain_answer_may_say_so(sites):
    sites[0].answers["/a"] = [(200, {"Content-Encoding": "identity"}, b"x")]
    assert (await send(f"{sites[0].url}/a")).text == "x"


@pytest.mark.parametrize("depth", [65, 900, 100_000])
async def test_json_that_is_too_deep_comes_back_as_text(sites, depth):
    body = "[" * depth + "]" * depth
    sites[0].answers["/a"] = [(201, {}, body.encode())]
    assert await send(f"{sites[0].url}/a", method="POST") == HttpAnswer(
        201, None, body, f"{sites[0].url}/a"
    )


@pytest.mark.parametrize("location", ["http://[bad", "http://a:b:c/", "http://example.org:99999/"])
async def test_a_redirect_to_no_url_is_final(sites, location):
    sites[0].answers["/a"] = [(307, {"Location": location}, b"")]
    error = await failed(f"{sites[0].url}/a", method="POST")
    assert error.non_retryable
    assert re.search("redirects to an address that is not a URL|it is not a URL", error.message)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("inf", LONGEST_WAIT), ("1e400", LONGEST_WAIT), ("-inf", None), ("nan", None)],
)
async def test_an_endless_limit_is_bounded(sites, given, seconds):
    sites[0].answers["/a"] = [(429, {"Retry-After": given}, b"")]
    error = await failed(f"{sites[0].url}/a")
    assert not error.non_retryable
    wait = error.next_retry_delay
    assert (wait and wait.total_seconds()) == seconds


@pytest.mark.parametrize("given", ["0", "-7", "Wed, 21 Oct 2015 07:28:00 GMT"])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_limit_that_has_passed_costs_an_attempt(sites, status, given):
    sites[0].answers["/a"] = [(status, {"Retry-After": given}, b"")]
    error = await failed(f"{sites[0].url}/a")
    assert (error.type, error.next_retry_delay) == (STEP_FAILED, None)
    assert not error.non_retryable


@pytest.mark.parametrize("value", ["ü", "商店", "a\x7fb", "a\x01b", "a\x0bb"])
async def test_a_value_that_http_does_not_allow_is_final_and_not_shown(sites, value):
    stored = Credentials(value=f"{SECRET}{value}{SECRET}")
    for given in (f"{SECRET}{value}", SecretHeader("hook")):
        error = await failed(f"{sites[0].url}/a", stored=stored, headers={"X-Key": given})
        assert error.non_retryable
        assert "the value of the header 'X-Key' has" in error.message
    error = await failed(f"{sites[0].url}/a", headers={"X-Key": SecretHeader("hook", f"{value} ")})
    assert "the value of the header 'X-Key' has" in error.message
    assert sites[0].requests == []


async def test_spaces_around_a_value_are_not_sent(sites):
    sites[0].answers["/a"] = [(200, {}, b"")]
    await send(f"{sites[0].url}/a", headers={"X-Plain": " a b\t", "X-Empty": " "})
    got = sites[0].requests[0][2]
    assert (got["x-plain"], got["x-empty"]) == ("a b", "")


@pytest.mark.parametrize("part", ["headers", "body"])
async def test_the_timeout_is_for_the_whole_request(part):
    """Each byte comes in time; the whole answer does not."""

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            if part == "body":
                self.wfile.write(b"Content-Length: 1000\r\n\r\n")
            with suppress(OSError):
                for _ in range(200):
                    self.wfile.write(b"X: 1\r\n" if part == "headers" else b"x")
                    time.sleep(0.1)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        begun = time.monotonic()
        error = await failed(f"http://127.0.0.1:{server.server_port}/", timeout=1.0)
        took = time.monotonic() - begun
        server.shutdown()
    assert "127.0.0.1 did not answer in time" in error.message
    assert not error.non_retryable
    assert took < 15
