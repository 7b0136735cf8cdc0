"""Another user of the machine at a Stepway without sign-in."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from stepway.api import serving
from stepway.api.auth.peers import own_user
from stepway.runtime.settings import Settings
from tests.support.others import as_other, needs_root
from tests.support.servers import Stepway, eventually, running_stepway, write_blueprint

REQUESTS = """
import http.client, json, sys
port, requests = int(sys.argv[1]), json.loads(sys.argv[2])
answers = []
for method, path, body in requests:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json", "X-Forwarded-For": "192.0.2.1"}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    kind = answer.headers["Content-Type"]
    text = answer.read().decode() if kind.startswith("application") else ""
    answers.append([answer.status, kind, text])
    connection.close()
print(json.dumps(answers))
"""

SEND_AND_LEAVE = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
    client.sendall(sys.argv[2].encode())
"""


async def answers(stepway: Stepway, requests: list[tuple[str, str, Any]]) -> list[list[Any]]:
    """Send the requests as another user; return the status, type and text of each answer."""
    with as_other(REQUESTS, stepway.http.base_url.port, json.dumps(requests)) as client:
        output, _ = await asyncio.to_thread(client.communicate)
    assert client.returncode == 0
    found: list[list[Any]] = json.loads(output)
    return found


def every_get(document: dict[str, Any], project: str) -> list[tuple[str, str, Any]]:
    paths = [path for path, methods in document["paths"].items() if "get" in methods]
    return [
        ("GET", path.replace("{project_id}", project).replace("{", "").replace("}", ""), None)
        for path in paths
    ]


@needs_root
async def test_another_user_of_the_machine_reads_and_starts_nothing(
    servers: Settings, tmp_path: Path
) -> None:
    blueprint = write_blueprint(tmp_path, [{"step": "made", "with": {"value": "good"}}])
    async with running_stepway(servers, tmp_path) as stepway:
        project = await stepway.create(blueprint)
        document = (await stepway.http.get("/openapi.json")).json()
        body = {"name": "theirs", "blueprint": blueprint}
        control = f"/api/projects/{project}/initialization/cancel"
        requests = [
            *every_get(document, project),
            ("POST", "/api/projects", body),
            ("POST", control, None),
            ("OPTIONS", "/api/projects", None),
            ("HEAD", "/api/projects", None),
            ("GET", "/", None),
            ("GET", f"/projects/{project}", None),
            ("GET", "/docs", None),
            ("GET", "/openapi.json", None),
            ("GET", "/metrics", None),
            ("GET", "/nowhere", None),
        ]
        assert any(path.endswith("/events") for _, path, _ in requests)
        for request, (status, kind, text) in zip(
            requests, await answers(stepway, requests), strict=True
        ):
            if request[1] == "/healthz":
                assert status == 200
                continue
            assert (status, kind) == (403, "application/problem+json"), request
            if request[0] != "HEAD":
                assert json.loads(text)["detail"] == (
                    f"This Stepway serves user {own_user()} only. Sign-in lets it serve others: "
                    "docs/how-to/sign-in.md."
                )
        listed = (await stepway.http.get("/api/projects")).json()["items"]
        assert "theirs" not in {each["name"] for each in listed}


@needs_root
async def test_request_of_another_user_who_does_not_wait_starts_nothing(
    servers: Settings, tmp_path: Path
) -> None:
    """The connection is accepted after its client has closed it."""
    blueprint = write_blueprint(tmp_path, [{"step": "made", "with": {"value": "good"}}])
    body = json.dumps({"name": "left-behind", "blueprint": blueprint})
    async with running_stepway(servers, tmp_path) as stepway:
        port = stepway.http.base_url.port
        head = f"POST /api/projects HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        # Blocks the event loop on purpose: the server accepts when the client is gone.
        with as_other(SEND_AND_LEAVE, port, head + body) as client:
            assert client.wait() == 0
        refused = 'method="POST",route="other",status="403"'

        async def was_refused() -> bool:
            return refused in (await stepway.http.get("/metrics")).text

        await eventually(was_refused)
        listed = (await stepway.http.get("/api/projects")).json()["items"]
        assert "left-behind" not in {each["name"] for each in listed}


async def test_users_that_the_system_does_not_tell_apart_are_served_with_a_warning(
    servers: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(serving, "working_lookup", lambda: None)
    with caplog.at_level(logging.WARNING, serving.__name__):
        async with running_stepway(servers, tmp_path, worker=False) as stepway:
            assert (await stepway.http.get("/api/projects")).status_code == 200
    said = [each for each in caplog.records if each.name == serving.__name__]
    assert len(said) == 1
    assert "docs/how-to/sign-in.md" in said[0].getMessage()
