"""Whatever a server answers, a caller gets a result or a ClusterError, in bounded time."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from stepway.clusters import connection
from stepway.clusters.cluster import Cluster, open_cluster
from stepway.clusters.connection import connected
from stepway.clusters.errors import ClusterError
from stepway.clusters.ref import Ref
from tests.support.kubernetes.odd import odd_cluster, send

REF = Ref("v1", "ConfigMap", "settings", "shop", "1")
MANIFEST = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "shop"},
}
KINDS = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}

Use = Callable[[Cluster], Awaitable[Any]]
USES: dict[str, Use] = {
    "account": lambda cluster: cluster.account(),
    "read": lambda cluster: cluster.read(REF),
    "apply": lambda cluster: cluster.apply(MANIFEST, "p"),
    "delete": lambda cluster: cluster.delete(REF, "p"),
}
ODD: list[Any] = [
    [],
    {},
    "text",
    None,
    5,
    b"<html>Sign in</html>",
    b"[" * 100_000,
    b"\xff",
    b"",
    {"resources": None},
    {"resources": [{}]},
    {"resources": [5]},
    {"metadata": None},
    {"metadata": {}},
    {"metadata": {"uid": 5}},
    {"metadata": {"uid": "1", "managedFields": 5}},
    {"metadata": {"uid": "1", "managedFields": [5]}},
    {"metadata": {"uid": "1", "labels": ["stepway/project"]}},
    {"metadata": {"uid": "1", "finalizers": [5]}},
    {"status": {"userInfo": {"username": 5}}},
]


def encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


async def use(name: str, answer: Callable[[BaseHTTPRequestHandler], None]) -> ClusterError:
    with odd_cluster(answer) as config, pytest.raises(ClusterError) as caught:
        async with open_cluster(config) as cluster:
            await USES[name](cluster)
    assert caught.value.message and caught.value.remedy
    return caught.value


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("knows_kinds", [True, False])
async def test_answers_that_no_cluster_gives(name: str, knows_kinds: bool) -> None:
    current: dict[str, Any] = {}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        is_list = knows_kinds and handler.path.split("?")[0] == "/api/v1"
        send(handler, 200, encoded(KINDS if is_list else current["body"]))

    with odd_cluster(answer) as config:
        async with connected(config) as opened:
            for body in ODD:
                current["body"] = body
                with pytest.raises(ClusterError, match="not answer as a Kubernetes") as caught:
                    await USES[name](Cluster(opened))
                assert caught.value.later and caught.value.remedy


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, []),
        (403, {"message": {"a": 1}, "reason": 5}),
        (409, None),
        (500, b"<html>"),
        (500, b"[" * 100_000),
    ],
)
async def test_a_refusal_with_an_odd_body(status: int, body: Any) -> None:
    error = await use("apply", lambda handler: send(handler, status, encoded(body)))
    assert error.status == status
    assert error.message == f"The cluster answered {status}"


async def test_a_redirect_is_not_followed() -> None:
    error = await use("read", lambda handler: send(handler, 302, b"", Location="http://[::1]/"))
    assert error.status == 302


async def test_long_words_of_a_cluster_are_cut() -> None:
    body = encoded({"message": "x" * 1_000_000})
    error = await use("read", lambda handler: send(handler, 400, body))
    assert len(error.message) < 10_000


@pytest.mark.parametrize("part", ["headers", "body"])
async def test_a_slow_answer_ends_in_time(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Each byte comes in time; the whole answer does not."""
    monkeypatch.setattr(connection, "WITHIN", 1.0)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        if part == "body":
            handler.wfile.write(b"Content-Length: 100\r\n\r\n")
        with suppress(OSError):
            for _ in range(100):
                handler.wfile.write(b"X: 1\r\n" if part == "headers" else b" ")
                time.sleep(0.2)

    begun = time.monotonic()
    error = await use("read", drip)
    assert time.monotonic() - begun < 15
    assert error.later
    assert "did not answer within" in error.message
