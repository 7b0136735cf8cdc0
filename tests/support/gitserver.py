"""Serves Git repositories over HTTP on loopback, with sign-in, and counts the requests."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dulwich.object_store import commit_tree_changes
from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import WSGIRequestHandlerLogger, make_wsgi_chain

LINK, EXECUTABLE, PLAIN, SUBMODULE = 0o120000, 0o100755, 0o100644, 0o160000
File = str | bytes | tuple[int, bytes]


@dataclass
class GitServer:
    """The server. `private` maps the name of a repository to the `USER:PASSWORD` that reads it.

    `answer` maps a path's beginning to what is answered instead: status, headers and body. `wait`
    are seconds before each answer; `sent` are bytes of all answers. `cut` maps a path's end to the
    bytes of its answer after which the connection ends.
    """

    url: str = ""
    private: dict[str, str] = field(default_factory=dict)
    answer: dict[str, tuple[str, list[tuple[str, str]], bytes]] = field(default_factory=dict)
    wait: float = 0.0
    sent: int = 0
    cut: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    backend: DictBackend = field(default_factory=lambda: DictBackend({}))

    def add(self, name: str, folder: Path) -> Repository:
        """Create the bare repository NAME in a folder; it is served at `url/NAME`."""
        folder.mkdir(parents=True, exist_ok=True)
        repo = Repo.init_bare(str(folder), default_branch=b"main")
        self.backend.repos[f"/{name}".encode()] = repo
        self.backend.repos[f"/{name}"] = repo  # type: ignore[index]
        return Repository(repo, f"{self.url}/{name}")

    def fetches(self) -> int:
        """How often files were fetched."""
        return sum(path.endswith("/git-upload-pack") for path in self.paths)

    def application(self, chain: Any) -> Any:
        """The WSGI application: sign-in and faults before dulwich's own."""

        def answered(environ: dict[str, Any], start: Any) -> Any:
            path = environ["PATH_INFO"]
            self.paths.append(path)
            time.sleep(self.wait)
            for beginning, (status, headers, body) in self.answer.items():
                if path.startswith(beginning):
                    start(status, headers)
                    return [body]
            wanted = next((v for k, v in self.private.items() if path.startswith(f"/{k}/")), None)
            given = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Basic ")
            if wanted and base64.b64decode(given).decode() != wanted:
                start("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="git"')])
                return [b"sign in"]
            most = next((v for k, v in self.cut.items() if path.endswith(k)), None)
            return chain(environ, self._counted(start, most))

        return answered

    def _counted(self, start: Any, most: int | None) -> Any:
        """A `start_response` whose `write`, which dulwich uses, counts and cuts the bytes."""

        def started(*arguments: Any) -> Any:
            write, left = start(*arguments), most

            def written(part: bytes) -> None:
                nonlocal left
                part = part if left is None else part[:left]
                left = None if left is None else left - len(part)
                self.sent += len(part)
                write(part)

            return written

        return started


@dataclass
class Repository:
    """A repository that tests commit to."""

    repo: Repo
    url: str

    def write(
        self,
        files: dict[str, File],
        *,
        branch: str = "main",
        tag: str = "",
        annotated: bool = False,
    ) -> str:
        """Commit files to a branch on top of what is there; return the commit."""
        ref = Ref(f"refs/heads/{branch}".encode())
        parent = self.repo.refs.as_dict().get(ref)
        base = self.repo[self.repo[parent].tree] if parent else Tree()
        self.repo.object_store.add_object(base)
        changes = []
        for path, content in files.items():
            mode, data = content if isinstance(content, tuple) else (PLAIN, content)
            data = data.encode() if isinstance(data, str) else data
            entry = ObjectID(data)
            if mode != SUBMODULE:
                blob = Blob.from_string(data)
                self.repo.object_store.add_object(blob)
                entry = blob.id
            changes.append((path.encode(), mode, entry))
        commit = Commit()
        commit.tree = commit_tree_changes(self.repo.object_store, base, changes)
        commit.parents = [parent] if parent else []
        commit.author = commit.committer = b"Ada <ada@example.org>"
        commit.author_time = commit.commit_time = 1_700_000_000
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = f"Write {', '.join(files)}".encode()
        self.repo.object_store.add_object(commit)
        self.repo.refs[ref] = commit.id
        if tag:
            self.tag(tag, commit.id.decode(), annotated=annotated)
        return commit.id.decode()

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> None:
        """Set a tag, or move it."""
        target = ObjectID(commit.encode())
        if annotated:
            tag = Tag()
            tag.name, tag.message, tag.tagger = name.encode(), b"A release", b"Ada <a@example.org>"
            tag.tag_time, tag.tag_timezone = 1_700_000_000, 0
            tag.object = (Commit, target)
            self.repo.object_store.add_object(tag)
            target = tag.id
        self.repo.refs[Ref(f"refs/tags/{name}".encode())] = target


class _Quiet(WSGIRequestHandlerLogger):
    def log_request(self, *arguments: Any) -> None:
        """Say nothing."""


class _Threaded(WSGIServer):
    def process_request(self, request: Any, client_address: Any) -> None:
        threading.Thread(
            target=super().process_request, args=(request, client_address), daemon=True
        ).start()


def certificate(folder: Path) -> str:
    """Write a key and a self-signed certificate of 127.0.0.1; return the certificate in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "tls.pem").write_bytes(private + pem)
    return pem.decode()


@contextmanager
def git_server(tls: Path | None = None) -> Iterator[GitServer]:
    """Serve repositories while the context is open; over TLS with the key in a file."""
    server = GitServer()
    application = server.application(make_wsgi_chain(server.backend))
    http = make_server("127.0.0.1", 0, application, _Threaded, handler_class=_Quiet)
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls)
        http.socket = context.wrap_socket(http.socket, server_side=True)
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(10)
