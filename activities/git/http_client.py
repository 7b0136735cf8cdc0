"""Git over HTTP and HTTPS: dulwich's client with time limits, authorities, proxies and one host."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import httpx
import urllib3
from dulwich.client import Urllib3HttpGitClient
from dulwich.config import ConfigDict
from dulwich.errors import GitProtocolError
from urllib3.connection import HTTPConnection, HTTPSConnection

from stepway.activities.git.proxy import proxy_of
from stepway.activities.git.ssh import CONNECT
from stepway.activities.git.watch import Watch, was_silent

SHOWN = 8_000
"""Bytes of a host's own text that are kept."""

_BUFFER = 64 << 20
"""Bytes of a push that are sent with their length: GitHub does not take large streams."""
_PIECE = 1 << 16
_REDIRECTS = 5
_PORTS = {"https": 443, "http": 80}


class Answered(Exception):
    """An HTTP status other than 200, with the host's text."""

    def __init__(self, status: int, text: bytes, retry_after: str) -> None:
        super().__init__(status)
        self.status = status
        self.text = text
        self.retry_after = retry_after


class Moved(Exception):
    """A redirect to another host, which is not followed. `to` is where it leads."""

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


class NotGit(Exception):
    """An answer that is not Git's: a page of a proxy or of a sign-in."""

    def __init__(self, content_type: str) -> None:
        super().__init__(f"Content-Type: {content_type}")


class HttpClient(Urllib3HttpGitClient):
    """A client for one repository. Raises Answered, Moved and NotGit besides dulwich's errors.

    `ca` is PEM with the authorities to trust in place of the public ones.
    """

    def __init__(self, url: str, username: str, password: str, ca: str, watch: Watch) -> None:
        self._sockets: list[socket.socket] = []
        config = ConfigDict()
        config.set((b"http",), b"postBuffer", str(_BUFFER).encode())
        super().__init__(
            url,
            pool_manager=_pool(url, ca, watch, self._sockets),
            config=config,
            username=username or None,
            password=password or None,
        )
        self._limits = watch.limits

    def close(self) -> None:
        """Close all connections."""
        self.pool_manager.clear()
        for connection in self._sockets:
            _shut(connection)
            connection.close()

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> Any:
        # In pieces: a time limit of the connection is then one of its silence.
        body: Any = BytesIO(data) if isinstance(data, bytes) else data and _pieces(data)
        with self._errors():
            response, read = super()._http_request(url, headers, body, raise_for_status=False)
        if response.status != 200:
            text = b""
            with suppress(urllib3.exceptions.HTTPError):
                text = response.read(SHOWN)
            response.close()
            raise Answered(response.status, text, response.headers.get("Retry-After") or "")
        kind = response.headers.get("Content-Type") or ""
        if not kind.startswith("application/x-git-"):
            response.close()
            raise NotGit(kind)

        def whole(count: int) -> bytes:
            with self._errors():
                return bytes(read(count))

        return response, whole

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise TransferTimedOut for silence, and dulwich's error for all others of urllib3."""
        try:
            yield
        except (GitProtocolError, urllib3.exceptions.HTTPError) as error:
            is_dulwichs = isinstance(error, GitProtocolError)
            if _is_silence(error.__cause__ if is_dulwichs else error):
                raise was_silent(self._limits) from error
            if is_dulwichs:
                raise
            raise GitProtocolError(str(error)) from error


def _pieces(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in small parts; dulwich yields a file as one, and servers limit them."""
    for part in parts:
        for start in range(0, len(part), _PIECE):
            yield part[start : start + _PIECE]


def _is_silence(error: BaseException | None) -> bool:
    """Whether an error of urllib3 is that a connection sent or took nothing."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, urllib3.exceptions.ProtocolError):
        return any(isinstance(part, TimeoutError) for part in reason.args)
    return isinstance(reason, urllib3.exceptions.ReadTimeoutError)


class _SameOrigin:
    """Follows redirects within the host that was asked, and to no other."""

    origin: tuple[str, str, int | None]

    def urlopen(self, method: str, url: str, redirect: bool = True, **rest: Any) -> Any:
        parts = urlsplit(url)
        if parts.scheme and _origin(url) != self.origin:
            raise Moved(f"{parts.scheme}://{parts.netloc}{parts.path}")
        return super().urlopen(method, url, redirect, **rest)  # type: ignore[misc]


class _Pool(_SameOrigin, urllib3.PoolManager):  # type: ignore[misc]
    pass


class _ProxyPool(_SameOrigin, urllib3.ProxyManager):  # type: ignore[misc]
    pass


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


def _pool(url: str, ca: str, watch: Watch, sockets: list[socket.socket]) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "headers": {"User-agent": "git/stepway"},
        "timeout": urllib3.Timeout(connect=CONNECT, read=watch.limits.silent),
        "retries": urllib3.Retry(
            connect=1,
            read=0,
            other=0,
            status=0,
            redirect=_REDIRECTS,
            respect_retry_after_header=False,
        ),
        "ssl_context": _context(ca),
    }
    proxy = proxy_of(url)
    if proxy is None:
        pool: Any = _Pool(**options)
    else:
        pool = _ProxyPool(proxy.url, proxy_headers=proxy.headers, **options)
    pool.origin = _origin(url)
    pool.pool_classes_by_scheme = _watched_pools(watch, sockets)
    return pool  # type: ignore[no-any-return]


def _context(ca: str) -> ssl.SSLContext:
    if ca:
        return ssl.create_default_context(cadata=ca)
    context = httpx.create_ssl_context()
    # Beside the public authorities those of the system, as Git does.
    context.load_default_certs()
    return context


def _watched_pools(watch: Watch, sockets: list[socket.socket]) -> dict[str, type]:
    class Http(urllib3.HTTPConnectionPool):
        ConnectionCls = _watched(HTTPConnection, watch, sockets)

    class Https(urllib3.HTTPSConnectionPool):
        ConnectionCls = _watched(HTTPSConnection, watch, sockets)

    return {"http": Http, "https": Https}


def _watched(base: Any, watch: Watch, sockets: list[socket.socket]) -> Any:
    """A class of connections that the watch can cut, also while they are read.

    `sockets` gets a copy of each socket. TLS takes the socket itself over, and an answer without a
    length outlives its connection; a copy still ends them.
    """

    class Watched(base):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            opened: socket.socket = super()._new_conn()
            copy = opened.dup()
            sockets.append(copy)
            watch.on_end(lambda: _shut(copy))
            return opened

        def connect(self) -> None:
            super().connect()
            # The limit for connecting is too short for a host that takes a large push.
            self.sock.settimeout(watch.limits.silent)

    return Watched


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
