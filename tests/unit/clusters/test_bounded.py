"""Answers of a cluster take a bounded amount of memory, whatever they decompress to."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from stepway.clusters.cluster import open_cluster
from stepway.clusters.errors import ClusterError
from stepway.clusters.ref import Ref
from stepway.net import answers

CONFIG_MAPS = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
REF = Ref("v1", "ConfigMap", "settings", "shop")


@contextmanager
def cluster(*bodies: bytes) -> Iterator[str]:
    """The kubeconfig of a server that answers with these bodies in turn, compressed."""
    rest = [gzip.compress(body) for body in bodies]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = rest.pop(0)
            assert self.headers["Accept-Encoding"] == "gzip"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield yaml.safe_dump(
            {
                "current-context": "main",
                "contexts": [{"name": "main", "context": {"cluster": "east", "user": "erin"}}],
                "clusters": [
                    {
                        "name": "east",
                        "cluster": {"server": f"http://127.0.0.1:{server.server_port}"},
                    }
                ],
                "users": [{"name": "erin", "user": {"token": "t"}}],
            }
        )
        server.shutdown()


async def read(config: str) -> object:
    async with open_cluster(config) as opened:
        return await opened.read(REF)


async def test_a_compressed_answer_is_read() -> None:
    found: dict[str, object] = {"apiVersion": "v1", "kind": "ConfigMap"}
    found |= {"metadata": {"name": "settings", "uid": "1"}}
    with cluster(json.dumps(CONFIG_MAPS).encode(), json.dumps(found).encode()) as config:
        assert await read(config) == found


@pytest.mark.parametrize(
    "first", [b" " * 200_000, json.dumps(CONFIG_MAPS).encode()], ids=["kinds", "object"]
)
async def test_an_answer_that_decompresses_to_much_is_refused(
    monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(answers, "LARGEST_ANSWER", 100_000)
    with (
        cluster(first, b" " * 200_000) as config,
        pytest.raises(ClusterError, match="does not answer as a Kubernetes API") as caught,
    ):
        await read(config)
    assert caught.value.later
