"""A server that answers requests to a Kubernetes API as no such API does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml


@contextmanager
def odd_cluster(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Yield the kubeconfig of a server; `answer` answers each request, whose body is read."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer(self)

        do_POST = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield kubeconfig_of(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def kubeconfig_of(url: str) -> str:
    """The kubeconfig of a server without TLS."""
    return yaml.safe_dump(
        {
            "current-context": "main",
            "contexts": [{"name": "main", "context": {"cluster": "east", "user": "erin"}}],
            "clusters": [{"name": "east", "cluster": {"server": url}}],
            "users": [{"name": "erin", "user": {"token": "t"}}],
        }
    )


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer with a body."""
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
