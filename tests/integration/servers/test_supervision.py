"""A role ends when what it depends on has ended, instead of standing there without it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from stepway.api.app import create_app
from stepway.api.serving import Server, listen, serving
from stepway.runtime.errors import ServerError
from stepway.runtime.settings import Settings
from stepway.worker import running_worker
from tests.support.servers import PATIENCE


async def test_an_api_ends_with_its_http_server(
    servers: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Server) -> None:
        await asyncio.sleep(0.2)
        raise RuntimeError("no more sockets")

    monkeypatch.setattr(Server, "main_loop", fail)
    app = create_app(servers.model_copy(update={"data_dir": tmp_path}))
    reason = r"^The HTTP server ended unexpectedly: RuntimeError: no more sockets$"
    with pytest.raises(ServerError, match=reason):
        async with serving(app, listen("127.0.0.1", 0)):
            await asyncio.sleep(PATIENCE)


async def test_an_api_ends_with_an_http_server_that_was_stopped(
    servers: Settings, tmp_path: Path
) -> None:
    app = create_app(servers.model_copy(update={"data_dir": tmp_path}))
    with pytest.raises(ServerError, match=r"^The HTTP server ended unexpectedly$"):
        async with serving(app, listen("127.0.0.1", 0)) as task:
            task.cancel()
            await asyncio.sleep(PATIENCE)


async def test_an_api_may_be_stopped_as_soon_as_it_has_started(
    servers: Settings, tmp_path: Path
) -> None:
    app = create_app(servers.model_copy(update={"data_dir": tmp_path}))
    async with asyncio.timeout(PATIENCE), serving(app, listen("127.0.0.1", 0)):
        """The connection to Redis is being made."""


async def test_a_role_ends_with_its_worker(servers: Settings) -> None:
    settings = servers.model_copy(update={"temporal_task_queue": "ends-early"})
    with pytest.raises(ServerError, match=r"^The worker ended unexpectedly$"):
        async with running_worker(settings) as workers:
            await workers[-1].shutdown()
            await asyncio.sleep(PATIENCE)
