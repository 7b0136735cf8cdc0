"""Errors for the client when Temporal refuses a request, or when clocks differ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.service import RPCError, RPCStatusCode

from stepway.api.commands import updates
from stepway.runtime.settings import Settings
from tests.support.servers import Json, Stepway, running_stepway, write_blueprint


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    return tmp_path


@asynccontextmanager
async def running(settings: Settings, folder: Path, **changed: Any) -> AsyncIterator[Stepway]:
    async with running_stepway(
        settings.model_copy(update=changed), folder, worker=not changed
    ) as stepway:
        yield stepway


async def started(stepway: Stepway, blueprint: str, **parameters: Any) -> httpx.Response:
    body = {"name": f"p-{uuid4().hex[:12]}", "blueprint": blueprint, "parameters": parameters}
    return await stepway.http.post("/api/projects", json=body)


def detail(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (status == 503)
    return str(answer.json()["detail"])


async def test_a_start_that_is_larger_than_temporal_accepts_is_413(
    servers: Settings, folder: Path
) -> None:
    steps: list[Json] = [
        {"step": f"s{number}", "with": {"value": "${{ parameters.text }}"}} for number in range(100)
    ]
    takes = {"type": "object", "properties": {"text": {"type": "string"}}}
    blueprint = write_blueprint(folder, steps, parameters=takes)
    async with running(servers, folder) as stepway:
        answer = await started(stepway, blueprint, text="x" * 60_000)
        assert "larger than Temporal accepts" in detail(answer, 413)
        assert (await started(stepway, blueprint, text="x")).status_code == 201


async def test_a_namespace_that_is_not_there_is_502_and_named(
    servers: Settings, folder: Path
) -> None:
    blueprint = write_blueprint(folder, [{"step": "one"}])
    async with running(servers, folder, temporal_namespace="theirs") as stepway:
        text = detail(await started(stepway, blueprint), 502)
    assert text.startswith("Temporal refused the request: ")
    assert "theirs" in text


async def test_a_temporal_that_is_away_is_503(servers: Settings, folder: Path) -> None:
    blueprint = write_blueprint(folder, [{"step": "one"}])
    async with running(servers, folder, temporal_address="127.0.0.1:1") as stepway:
        text = detail(await started(stepway, blueprint), 503)
    assert "unavailable" in text


@pytest.mark.parametrize(
    ("status", "message", "answered", "said"),
    [
        (RPCStatusCode.PERMISSION_DENIED, "Request unauthorized.", 502, "Request unauthorized."),
        (RPCStatusCode.UNAUTHENTICATED, "", 502, "UNAUTHENTICATED"),
        (RPCStatusCode.UNAVAILABLE, "connection reset", 503, "unreachable"),
        (RPCStatusCode.RESOURCE_EXHAUSTED, "namespace rate limit", 503, "unreachable"),
    ],
)
async def test_each_error_of_temporal_is_told_as_what_it_is(
    servers: Settings,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: RPCStatusCode,
    message: str,
    answered: int,
    said: str,
) -> None:
    steps: list[Json] = [{"step": "doomed", "uses": "broken"}]
    blueprint = write_blueprint(folder, steps)
    async with running(servers, folder) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")

        async def refuse(*_: Any, **__: Any) -> Any:
            raise RPCError(message, status, b"")

        with monkeypatch.context() as patch:
            patch.setattr("temporalio.service._BridgeServiceClient._rpc_call", refuse)
            assert said in detail(await started(stepway, blueprint), answered)
            assert said in detail(await stepway.control(project, "retry"), answered)


async def test_a_clock_that_is_far_behind_is_told(
    servers: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blueprint = write_blueprint(folder, [{"step": "doomed", "uses": "broken"}])
    async with running(servers, folder) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "failed")
        right = updates.now

        def behind() -> datetime:
            return right() - timedelta(seconds=68)

        monkeypatch.setattr(updates, "now", behind)
        text = detail(await started(stepway, blueprint), 503)
        assert "The clock of Postgres is at least " in text
        text = detail(await stepway.control(project, "retry"), 409)
        assert "The clock of Temporal is at least " in text
        assert "ahead of the clock of this API server: synchronize both" in text
