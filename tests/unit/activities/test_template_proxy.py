"""Templates are read through a proxy that wants a password."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3
from temporalio.exceptions import ApplicationError

from stepway.activities.git.proxy import proxy_of
from stepway.activities.templates.fetch import Repository, fetch, resolve
from tests.support.gitserver import GitServer, git_server

USER, PASSWORD = "worker", "p@ss:w/rd"
QUOTED = "p%40ss%3Aw%2Frd"
URL = "http://git.example.test/tpl.git"


def nothing() -> None:
    """Take no notice of heartbeats."""


@dataclass
class ProxyServer:
    """A proxy that wants USER and PASSWORD and hands everything to one Git server."""

    address: str
    seen: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[GitServer]:
    with git_server() as server:
        yield server


@pytest.fixture
def proxy(server: GitServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProxyServer]:
    wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append(self.path)
            if self.headers.get("Proxy-Authorization") != wanted:
                self.send_response(407)
                self.send_header("Proxy-Authenticate", "Basic")
                self.end_headers()
                return
            parts = urlsplit(self.path)
            names = ("Content-Type", "Git-Protocol", "Accept")
            answer = urllib3.request(
                self.command,
                f"{server.url}{parts.path}?{parts.query}",
                body=body,
                headers={name: self.headers[name] for name in names if name in self.headers},
            )
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(answer.data)

        do_POST = do_CONNECT = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield ProxyServer(f"127.0.0.1:{http.server_port}", seen)
    finally:
        http.shutdown()
        http.server_close()


def test_a_template_is_fetched_through_a_proxy_with_a_password(
    server, proxy, tmp_path: Path, monkeypatch
):
    commit = server.add("tpl.git", tmp_path / "git").write({"a": "1"})
    monkeypatch.setenv("http_proxy", f"http://{USER}:{QUOTED}@{proxy.address}")
    assert resolve(Repository(URL), "main", nothing).commit == commit
    (tmp_path / "a").mkdir()
    fetch(Repository(URL), commit, tmp_path / "a", nothing)
    assert (tmp_path / "a" / "files" / "a").read_text() == "1"
    assert all(path.startswith(URL) for path in proxy.seen)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_the_password_is_said(proxy, monkeypatch, scheme):
    monkeypatch.setenv(f"{scheme}_proxy", f"http://{USER}:a-wrong-one@{proxy.address}")
    url = URL.replace("http:", f"{scheme}:")
    with pytest.raises(ApplicationError) as caught:
        resolve(Repository(url), "main", nothing)
    assert caught.value.non_retryable
    assert caught.value.message == f"The proxy of the workers asks for a sign-in to reach {url}"
    assert "a-wrong-one" not in str(caught.value.details)
    assert proxy.seen


def test_user_and_password_of_a_proxy_are_decoded(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"{USER}:{QUOTED}@proxy.test:3128")
    found = proxy_of("https://h.test/x.git")
    assert found is not None
    assert found.url == f"http://{USER}:{QUOTED}@proxy.test:3128"
    sent = found.headers["proxy-authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"{USER}:{PASSWORD}"
    assert QUOTED not in repr(found)
    assert sent not in repr(found)
