"""The base class of the three embedded servers."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import secrets
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from stepway.embedded.ports import Ports
from stepway.embedded.process import ChildProcess
from stepway.runtime.errors import ServerError

POLL_SECONDS = 0.05
STARTS = 3
"""Attempts to start: another program may take the port first, or a killed server still hold it."""

logger = logging.getLogger(__name__)


class Server(ABC):
    """An embedded server on loopback.

    Its files in the data folder are `{name}/`, `logs/{name}.log` and `run/{name}.json`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    setting: ClassVar[str]
    """The setting with the address of a server to use instead."""
    port_names: ClassVar[tuple[str, ...]]
    """Names of its ports; the first is for clients."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    not_ready: ClassVar[tuple[type[Exception], ...]]
    """Errors that `probe` raises until the server has started."""
    patience: ClassVar[float] = 60.0
    """Seconds that a start may take."""

    def __init__(self, data_dir: Path, ports: Ports) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / self.name
        self.log = data_dir / "logs" / f"{self.name}.log"
        self.ports: dict[str, int] = {}
        self._choice = ports
        self._should_run = False
        record = data_dir / "run" / f"{self.name}.json"
        self._process = ChildProcess(self.log, record, self.stop_signal)

    @property
    def pid(self) -> int | None:
        """The id of the server's process; None if it does not run."""
        return self._process.pid

    @property
    def crashed(self) -> bool:
        """Whether it has ended without being stopped."""
        return self._should_run and not self._process.running

    async def start(self) -> None:
        """Start the server and wait until it answers. Raises ServerError if it does not."""
        await asyncio.to_thread(self._process.end_stale)
        await self.prepare()
        for _ in range(STARTS):
            self.ports = {name: self._choice.get(name) for name in self.port_names}
            self._run()
            if await self._wait_until_ready():
                self._mark_started()
                return
        raise ServerError(
            f"{self.title} exited while starting: {self._process.last_line()} (see {self.log})"
        )

    async def stop(self) -> None:
        """Stop the server."""
        self._should_run = False
        await self._process.stop()

    async def kill(self) -> None:
        """Kill the server, as a test of a crash; `start` restarts it on the same port."""
        self._should_run = False
        await self._process.kill()

    @classmethod
    @abstractmethod
    def program(cls) -> Path | None:
        """The server's program; None if it is not installed."""

    @abstractmethod
    async def prepare(self) -> None:
        """Create the server's files; called at each start."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    async def probe(self) -> None:
        """Send a request to the server. Raises one of `not_ready` until it answers."""

    @abstractmethod
    def addresses(self) -> Mapping[str, Any]:
        """The settings that point to the server."""

    def user(self) -> str | None:
        """The system user to run as; None for the current user."""
        return None

    def working_folder(self) -> Path:
        """The working folder of the process. Paths relative to it need no quoting."""
        return self.data_dir

    def environment(self) -> Mapping[str, str]:
        """Additional environment variables."""
        return {}

    @property
    def port(self) -> int:
        """The port for clients."""
        return self.ports[self.port_names[0]]

    def _mark_started(self) -> None:
        self._should_run = True
        for name in self.port_names:
            self._choice.pin(name)

    def _run(self) -> None:
        self._process.start(
            self.command(),
            cwd=self.working_folder(),
            environment=self.environment(),
            user=self.user(),
        )

    async def _wait_until_ready(self) -> bool:
        """Wait until the server answers; False if it ends first."""
        deadline = time.monotonic() + self.patience
        while self._process.running:
            try:
                await self.probe()
            except self.not_ready as error:
                if time.monotonic() > deadline:
                    await self._process.stop()
                    raise ServerError(
                        f"{self.title} did not respond in {self.patience:.0f} s (see {self.log})"
                    ) from error
                await asyncio.sleep(POLL_SECONDS)
            else:
                return True
        return False


def program_in(folder: Path, name: str) -> Path:
    """The path of a program in `folder`."""
    return folder / name


def package_folders(name: str) -> list[Path]:
    """The folders of a Python package, without importing it; empty if it is not installed."""
    package = importlib.util.find_spec(name)
    return [
        Path(folder) for folder in (package.submodule_search_locations if package else ()) or ()
    ]


def password(file: Path) -> str:
    """The password in `file`, created at the first call and readable only by its owner."""
    if not file.exists():
        fresh = file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(24))
        fresh.replace(file)
    return file.read_text().strip()
