"""The server: one port for the API and for Git, with faults, a log and checks of shapes."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from socketserver import ThreadingMixIn
from tempfile import TemporaryDirectory
from threading import RLock, Thread
from typing import Any, BinaryIO, NoReturn
from urllib.parse import parse_qsl, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from dulwich.web import ChunkReader

from tests.support.githost.answers import Answer, Request
from tests.support.githost.faults import Fault, Faults
from tests.support.githost.git import serve_git
from tests.support.githost.state import Repository, World
from tests.support.githost.surface import PushRefusal, RefUpdate, Surface

_GIT = re.compile(r"/(.+?)(?:\.git)?(/(?:info/refs|git-upload-pack|git-receive-pack))$")


@dataclass(frozen=True)
class Logged:
    """A request that the host has got, and the status of its answer.

    `line` is what a host writes to its log: neither headers nor bodies.
    """

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int = 0

    @property
    def line(self) -> str:
        """The log's line: method, path with the query, status, client."""
        return f"{self.method} {self.path} {self.status} {self.headers.get('user-agent', '')}"


class Host:
    """A running host. `url` is its address as people open it, `port` the one that it listens on."""

    def __init__(self, surface: type[Surface], folder: Path, url: str) -> None:
        self.url = url
        self.port = 0
        self.world = World(folder)
        self.faults = Faults()
        self.surface = surface(self.world, url)
        self.log: list[Logged] = []
        self._lock = RLock()

    @property
    def violations(self) -> list[str]:
        """What in requests and answers does not fit the host's OpenAPI document."""
        return self.surface.shapes.violations if self.surface.shapes else []

    def held(self) -> AbstractContextManager[Any]:
        """Handle no request meanwhile, so that the world stays the same."""
        return self._lock

    def requests(self, pattern: str) -> list[Logged]:
        """Return the requests so far whose `METHOD /path` the regular expression finds."""
        return [entry for entry in self.log if re.search(pattern, f"{entry.method} {entry.path}")]

    def serve(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Answer a request (WSGI)."""
        method, path = environ["REQUEST_METHOD"], urlsplit(environ["RAW_PATH"]).path
        fault = self.faults.meet(f"{method} {path}")
        if fault is not None and fault.delay:
            time.sleep(fault.delay)
        if fault is not None and fault.hold and not fault.effect:
            fault.hold.keep()
        git = _GIT.match(path)
        if git and not path.startswith(self.surface.api + "/"):
            return self._git(git[1], git[2], fault, environ, start_response)
        request = self._request(method, path, environ)
        answer = self._answer(request, fault)
        if fault is not None and fault.hold and fault.effect:
            fault.hold.keep()
        self._note(environ, request.headers, request.body, answer.status)
        if fault is not None and fault.lost:
            return _hang_up(environ)
        return _sent(answer, start_response)

    def _request(self, method: str, path: str, environ: dict[str, Any]) -> Request:
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        path = path.removeprefix(self.surface.api)
        return Request(method, path, query, _headers(environ), _body(environ))

    def _answer(self, request: Request, fault: Fault | None) -> Answer:
        replaced = fault is not None and (fault.answer is not None or fault.lost)
        answer = Answer(204)
        if not replaced or (fault and fault.effect):
            with self._lock:
                answer = self.surface.answer(request)
            if self.surface.shapes is not None:
                self.surface.shapes.check(request, answer)
            answer = self.surface.conditional(request, answer)
        return fault.answer if fault and fault.answer else answer

    def _git(
        self,
        name: str,
        rest: str,
        fault: Fault | None,
        environ: dict[str, Any],
        start_response: Any,
    ) -> list[bytes]:
        headers = _headers(environ)
        body = b"" if rest == "/info/refs" else None
        service = environ["QUERY_STRING"] + rest
        if fault and not fault.effect and (fault.answer or fault.lost):
            answer = fault.answer or Answer(502)
            self._note(environ, headers, b"", answer.status)
            return _hang_up(environ) if fault.lost else _sent(answer, start_response)
        with self._lock:
            found = self.surface.git_access(headers, name, write="git-receive-pack" in service)
        if isinstance(found, Answer):
            self._note(environ, headers, body or b"", found.status)
            return _sent(found, start_response)
        statuses: list[tuple[str, list[tuple[str, str]]]] = []
        parts = serve_git(
            found,
            self._check(headers, found),
            {**environ, "PATH_INFO": rest, "SCRIPT_NAME": ""},
            lambda status, given: statuses.append((status, given)),
        )
        if rest == "/git-receive-pack":
            with self._lock:
                self.surface.after_push(found)
        if fault and fault.hold and fault.effect:
            fault.hold.keep()
        status, given = statuses[-1]
        self._note(environ, headers, b"", int(status.split()[0]))
        if fault and fault.most is not None:
            return _cut_off(environ, status, given, b"".join(parts)[: fault.most])
        if fault and (fault.lost or fault.answer):
            return _hang_up(environ) if fault.lost else _sent(fault.answer, start_response)
        start_response(status, given)
        return parts

    def _check(self, headers: dict[str, str], repository: Repository) -> Any:
        def check(update: RefUpdate) -> PushRefusal | None:
            with self._lock:
                token = self.surface.token_of(headers)
                return self.surface.refuse_push(token, repository, update)

        return check

    def _note(self, environ: dict[str, Any], headers: Any, body: bytes, status: int) -> None:
        self.log.append(
            Logged(environ["REQUEST_METHOD"], environ["RAW_PATH"], dict(headers), body, status)
        )


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    found = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return {**found, "content-type": environ.get("CONTENT_TYPE", "")}


def _body(environ: dict[str, Any]) -> bytes:
    source: BinaryIO = environ["wsgi.input"]
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        return ChunkReader(source).read(1 << 30)
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return source.read(length) if length else b""


def _sent(answer: Answer | None, start_response: Any) -> list[bytes]:
    assert answer is not None
    headers = {"Content-Type": answer.media_type, **answer.headers}
    headers["Content-Length"] = str(len(answer.body))
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(headers.items()))
    return [answer.body]


def _hang_up(environ: dict[str, Any]) -> NoReturn:
    environ["githost.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("the host hangs up")


def _cut_off(
    environ: dict[str, Any], status: str, headers: list[tuple[str, str]], body: bytes
) -> NoReturn:
    """Send the beginning of an answer whose end never comes."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    whole = "\r\n".join([*lines, "Content-Length: 100000", "", ""]).encode() + body
    environ["githost.socket"].sendall(whole)
    _hang_up(environ)


class _Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        return {
            **super().get_environ(),
            "RAW_PATH": self.path,
            "githost.socket": self.connection,
        }

    def log_message(self, *_: Any) -> None:
        """Write no log."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_: Any) -> None:
        """Write nothing: a client may hang up."""


@contextmanager
def running_host(
    surface: type[Surface],
    *,
    address: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    seen_as: str = "",
) -> Iterator[Host]:
    """Run a host on a free port of an address of this machine.

    Its repositories are in a temporary folder. With `tls` it speaks HTTPS. `seen_as` is the address
    as people open it, where that is a proxy's.
    """
    with (
        TemporaryDirectory(prefix="githost-") as folder,
        _Server((address, 0), _Handler) as server,
    ):
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https" if tls else "http"
        url = seen_as or f"{scheme}://{address}:{server.server_port}"
        host = Host(surface, Path(folder), url)
        host.port = server.server_port
        server.set_app(host.serve)
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
