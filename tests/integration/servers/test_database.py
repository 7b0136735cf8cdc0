"""The pool discards a connection whose server has disappeared without closing it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import asyncpg
import pytest

from stepway.runtime.settings import Settings
from stepway_tracking.postgres import UNREACHABLE, open_pool

PATIENCE = 30.0


class HalfOpen:
    """A proxy to Postgres that does not tell the client when Postgres closes the connection."""

    def __init__(self, host: str, port: int) -> None:
        self.closed = asyncio.Event()
        self._target = host, port

    async def serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        postgres, requests = await asyncio.open_connection(*self._target)
        there = asyncio.create_task(_pass_on(client, requests))
        await _pass_on(postgres, answers)
        self.closed.set()
        await there
        answers.close()
        requests.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)


@pytest.fixture
async def half_open(servers: Settings) -> AsyncIterator[tuple[HalfOpen, str]]:
    """The proxy, and the URL of Postgres behind it."""
    url = urlsplit(servers.database_url)
    network = HalfOpen(url.hostname or "127.0.0.1", url.port or 5432)
    async with await asyncio.start_server(network.serve, "127.0.0.1") as server:
        here = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        credentials = url.netloc.rpartition("@")
        yield network, url._replace(netloc="".join([*credentials[:2], here])).geturl()


async def test_a_connection_that_the_server_ended_midway_is_not_used_twice(
    half_open: tuple[HalfOpen, str], pool: asyncpg.Pool
) -> None:
    network, url = half_open
    own = await open_pool(url, max_size=1)
    try:
        backend = await own.fetchval("SELECT pg_backend_pid()")
        await pool.execute("SELECT pg_terminate_backend($1)", backend)
        await asyncio.wait_for(network.closed.wait(), PATIENCE)
        with pytest.raises(UNREACHABLE):
            await own.fetchval("SELECT 1")
        assert await own.fetchval("SELECT 2") == 2
    finally:
        own.terminate()
