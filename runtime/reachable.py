"""Checks that Postgres, Valkey or Redis, and Temporal answer at their configured addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from stepway.runtime.errors import ServerError
from stepway.runtime.server_settings import ServerSettings
from stepway_tracking.record.writable import ENCODING

TIME_LIMIT = 5.0
"""Seconds for each server."""

DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379}


class _Unusable(ServerError):
    """The server answers, but cannot be used."""


async def check_reachable(settings: ServerSettings) -> None:
    """Connect to each of the three servers.

    Raises ServerError with one line for each server that is not configured or does not answer. No
    line contains a password.
    """
    problems = await asyncio.gather(
        _problem("STEPWAY_DATABASE_URL", "Postgres", settings.database_url, _postgres),
        _problem("STEPWAY_REDIS_URL", "Valkey or Redis", settings.redis_url, _redis),
        _problem(
            "STEPWAY_TEMPORAL_ADDRESS",
            "Temporal",
            settings.temporal_address,
            lambda address: _temporal(address, settings.temporal_namespace),
        ),
    )
    lines = [problem for problem in problems if problem]
    if lines:
        raise ServerError("\n".join(lines))


async def _problem(
    variable: str, title: str, url: str, use: Callable[[str], Awaitable[None]]
) -> str | None:
    if not url:
        return f"{variable}: not set; set it to the address of {title}"
    try:
        host, port = _place(url)
    except ValueError:
        return f"{variable}: invalid address of {title}"
    try:
        async with asyncio.timeout(TIME_LIMIT):
            if host:
                await _connect(host, port)
            await use(url)
    except (OSError, ServerError) as error:
        place = f" at {host}:{port}" if host else ""
        verb = "use" if isinstance(error, _Unusable) else "connect to"
        return f"{variable}: cannot {verb} {title}{place} ({_reason(error)})"
    return None


async def _connect(host: str, port: int) -> None:
    """Open a TCP connection: its errors name the reason best."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()


async def _postgres(url: str) -> None:
    try:
        connection = await asyncpg.connect(url, timeout=TIME_LIMIT)
        encoding = await connection.fetchval("SHOW server_encoding")
        await connection.close()
        if encoding != ENCODING:
            raise _Unusable(f"the database's encoding is {encoding}, it must be {ENCODING}")
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ServerError(str(error)) from error
    except ValueError as error:
        raise ServerError("the URL is malformed") from error


async def _redis(url: str) -> None:
    try:
        async with Redis.from_url(url) as client:
            await client.ping()
    except AuthenticationError as error:
        raise ServerError("wrong user name or password") from error
    except RedisError as error:
        raise ServerError(str(error)) from error
    except ValueError as error:
        raise ServerError("the URL is malformed") from error


async def _temporal(address: str, namespace: str) -> None:
    try:
        client = await Client.connect(address, namespace=namespace)
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=namespace)
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ServerError(f"namespace {namespace!r} not found") from error
        raise ServerError(error.message) from error
    except RuntimeError as error:
        raise ServerError("not a Temporal server") from error


def _place(url: str) -> tuple[str, int]:
    """Host and port; the host is empty if the URL has none, as for a Unix socket."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    return parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIME_LIMIT:.0f} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError):
        return error.strerror or "connection failed"
    return str(error)
