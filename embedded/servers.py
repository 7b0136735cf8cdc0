"""Starts and stops the embedded servers: those whose address is not configured."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from stepway.embedded.installed import require_installed
from stepway.embedded.ports import Ports
from stepway.embedded.postgres import Postgres
from stepway.embedded.server import Server
from stepway.embedded.temporal import Temporal
from stepway.embedded.valkey import Valkey
from stepway.runtime.errors import ServerError
from stepway.runtime.reachable import check_reachable
from stepway.runtime.settings import Settings
from stepway.runtime.supervision import depending_on

__all__ = ["EmbeddedServers", "ServerError", "check_reachable"]

WATCH_SECONDS = 1.0
RESTART_DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""Seconds between the attempts to restart a server that exited."""

logger = logging.getLogger(__name__)


class EmbeddedServers:
    """Postgres, Valkey and Temporal on the data folder, except those whose address is set.

    `ports` fixes ports by name: `postgres`, `valkey`, `temporal`, `temporal_ui`. Other ports are
    stored in the data folder. Use it on the main thread:

        async with EmbeddedServers(settings) as settings:
            ...
    """

    def __init__(self, settings: Settings, ports: Mapping[str, int] | None = None) -> None:
        self._settings = settings
        self._fixed_ports = ports or {}
        self._servers: dict[str, Server] = {}
        self._lock = FileLock(settings.data_dir / "run" / "lock")

    def __getitem__(self, name: str) -> Server:
        """The embedded server of that name. Raises KeyError if it is not embedded."""
        return self._servers[name]

    @property
    def names(self) -> list[str]:
        """Names of the embedded servers."""
        return list(self._servers)

    async def start(self) -> Settings:
        """Start the servers; return the settings with their addresses filled in.

        Raises ServerError if a server is not installed or does not start (then the others are
        stopped), or if the data folder is in use by another process.
        """
        missing = [kind for kind in KINDS if not getattr(self._settings, kind.setting)]
        if missing:
            require_installed(missing)
            self._take_folder()
            ports = Ports(self._settings.data_dir / "run" / "ports.json", self._fixed_ports)
            self._servers = {kind.name: self._build(kind, ports) for kind in missing}
        await self._start_all()
        return self._with_addresses()

    async def stop(self) -> None:
        """Stop the servers and release the data folder."""
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        self._lock.release()

    async def kill(self, name: str) -> None:
        """Kill one server, as a test of a crash; it stays down until `restart`."""
        await self[name].kill()

    async def restart(self, name: str) -> None:
        """Stop one server if it runs, and start it on the same port."""
        await self[name].stop()
        await self[name].start()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Restart servers that crash, while the context is open.

        Failed restarts are repeated after the delays in RESTART_DELAYS. If the last one fails, the
        block is cancelled and ServerError is raised.
        """
        async with AsyncExitStack() as stack:
            for server in self._servers.values():
                watching = asyncio.create_task(_keep_running(server))
                stack.push_async_callback(_cancel, watching)
                await stack.enter_async_context(depending_on(watching, server.title))
            yield

    async def __aenter__(self) -> Settings:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _build(self, kind: type[Server], ports: Ports) -> Server:
        if kind is Temporal:
            return Temporal(self._settings.data_dir, ports, self._settings.temporal_namespace)
        return kind(self._settings.data_dir, ports)

    async def _start_all(self) -> None:
        starts = (server.start() for server in self._servers.values())
        try:
            outcomes = await asyncio.gather(*starts, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
        except BaseException:
            await self.stop()
            raise

    def _take_folder(self) -> None:
        folder = self._settings.data_dir
        try:
            _make_folders(folder)
            self._lock.acquire(blocking=False)
        except Timeout:
            raise ServerError(f"{folder}: in use by another Stepway on this machine") from None
        except OSError as error:
            raise ServerError(
                f"STEPWAY_DATA_DIR: cannot use {folder} ({error.strerror})"
            ) from error

    def _with_addresses(self) -> Settings:
        addresses: dict[str, Any] = {}
        for server in self._servers.values():
            addresses.update(server.addresses())
        if self._settings.temporal_ui_url:
            addresses.pop("temporal_ui_url", None)
        return self._settings.model_copy(update=addresses)


async def _keep_running(server: Server) -> None:
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if server.crashed:
            logger.warning("%s exited; restarting it", server.title)
            await _restart(server)


async def _restart(server: Server) -> None:
    for delay in (*RESTART_DELAYS, None):
        try:
            await server.start()
        except Exception as error:
            if delay is None:
                raise ServerError(f"{server.title} exited and does not start: {error}") from error
            logger.warning("%s; the next attempt is in %g s", error, delay)
            await asyncio.sleep(delay)
        else:
            return


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


KINDS: tuple[type[Server], ...] = (Postgres, Valkey, Temporal)


def _make_folders(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in ("logs", "run"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    if not os.access(folder / "run", os.W_OK):
        raise PermissionError(13, "it belongs to another user")
    for path in folder.iterdir():
        _close_to_others(path)


def _close_to_others(path: Path) -> None:
    """Remove the permissions of other users, which earlier versions granted."""
    status = path.lstat()
    if status.st_uid == os.geteuid() and not path.is_symlink() and status.st_mode & 0o077:
        path.chmod(status.st_mode & 0o700)
