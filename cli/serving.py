"""The roles as contexts: what `up`, `worker`, `api` and `migrate` are made of."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn

from activities.registry import Resources, load_steps
from api.app import create_app
from blueprints.arguments import KnownSteps, input_types
from cli.errors import ClientError
from embedded.servers import EmbeddedServers, check_reachable
from migrations.upgrade import upgrade_database
from tracking.database import open_engine
from tracking.settings import Settings
from tracking.temporal import connect_temporal
from worker import running_worker
from workflows.deployment import prepare_temporal

STREAMS_GRACE = 5
"""Seconds that open requests have left at shutdown; streams end at once."""


class Server(uvicorn.Server):
    """Uvicorn inside our own loop, which handles the signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@asynccontextmanager
async def running_api(settings: Settings, host: str, port: int) -> AsyncIterator[str]:
    """The API and the page, served while the context is open; its URL.

    Raises ClientError when the address cannot be bound.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        create_app(settings, known_steps(settings)),
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=STREAMS_GRACE,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.wait([serving], timeout=0.02)
            if serving.done():
                raise ClientError("The API did not start; the lines above say why.")
        yield f"http://{_shown(host)}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def running_everything(settings: Settings, host: str, port: int) -> AsyncIterator[Settings]:
    """Servers where none are given, schema, worker and API; the settings with every address."""
    servers = EmbeddedServers(settings)
    async with servers as found:
        await check_reachable(found)
        await migrate_all(found)
        async with running_worker(found), running_api(found, host, port) as url:
            watching = asyncio.create_task(servers.watch())
            try:
                yield found.model_copy(update={"api_url": url})
            finally:
                watching.cancel()


async def migrate_all(settings: Settings) -> None:
    """Bring the database and Temporal to what this version needs; safe to repeat."""
    await upgrade_database(settings.sqlalchemy_url)
    client = await connect_temporal(settings)
    await prepare_temporal(client, settings.temporal_task_queue)


def known_steps(settings: Settings) -> KnownSteps:
    """The input types of all steps, to judge blueprints by; connects to nothing."""
    resources = Resources(settings, open_engine(settings.sqlalchemy_url))
    return input_types(load_steps(resources, settings.step_modules))


async def until_stopped() -> None:
    """Wait for SIGTERM, Ctrl-C, or the terminal's end."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def require_loopback(host: str) -> None:
    """Raise ClientError for an address that others can reach: nobody signs in yet."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise ClientError(
            f"--host {host}: without sign-in Stepway serves this machine only; "
            "use 127.0.0.1, or --allow-unauthenticated behind something that signs people in"
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ClientError(
            f"--port {port}: {host}:{port} cannot be used: {error.strerror}"
        ) from None
    return listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
