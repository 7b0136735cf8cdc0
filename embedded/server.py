"""What the three embedded servers have in common: prepared, started, waited for, stopped."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import secrets
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from stepway.embedded.ports import Ports
from stepway.embedded.process import ChildProcess
from stepway.runtime.errors import ServerError

POLL_SECONDS = 0.05
STARTS = 3
"""A start may lose its port between choice and use, or meet the last breath of a killed server."""

logger = logging.getLogger(__name__)


class Server(ABC):
    """One embedded server, on loopback.

    Its files in the data folder are `{name}/`, `logs/{name}.log` and `run/{name}.json`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    setting: ClassVar[str]
    """The setting that takes the server's place."""
    port_names: ClassVar[tuple[str, ...]]
    """Its ports, the one for clients first."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    not_ready: ClassVar[tuple[type[Exception], ...]]
    """What `probe` raises while the server still starts."""
    patience: ClassVar[float] = 60.0

    def __init__(self, data_dir: Path, ports: Ports) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / self.name
        self.log = data_dir / "logs" / f"{self.name}.log"
        self.ports: dict[str, int] = {}
        self._choice = ports
        self._wanted = False
        record = data_dir / "run" / f"{self.name}.json"
        self._process = ChildProcess(self.log, record, self.stop_signal)

    @property
    def pid(self) -> int | None:
        """The id of the server's process, None where it does not run."""
        return self._process.pid

    @property
    def crashed(self) -> bool:
        """Whether it ended without having been asked to."""
        return self._wanted and not self._process.running

    async def start(self) -> None:
        """Start the server and return when it answers.

        Raises ServerError when it does not.
        """
        await asyncio.to_thread(self._process.end_stale)
        await self.prepare()
        for _ in range(STARTS):
            self.ports = {name: self._choice.get(name) for name in self.port_names}
            self._run()
            if await self._answers():
                self._settle()
                return
        raise ServerError(
            f"{self.title} exited while starting: {self._process.last_line()} (see {self.log})"
        )

    async def stop(self) -> None:
        """Stop the server in an orderly way."""
        self._wanted = False
        await self._process.stop()

    async def kill(self) -> None:
        """End the server as a crash would; `start` brings it back on the same port."""
        self._wanted = False
        await self._process.kill()

    @classmethod
    @abstractmethod
    def program(cls) -> Path | None:
        """The server's program, None where it is not installed."""

    @abstractmethod
    async def prepare(self) -> None:
        """Make what the server needs on disk; repeated at each start."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    async def probe(self) -> None:
        """Use the server as a client would; raises one of `not_ready` until it answers."""

    @abstractmethod
    def addresses(self) -> Mapping[str, str]:
        """The settings that point to the server."""

    def user(self) -> str | None:
        """The system user it runs as, None for our own."""
        return None

    def environment(self) -> Mapping[str, str]:
        """What it finds in its environment besides ours."""
        return {}

    @property
    def port(self) -> int:
        """The port for clients."""
        return self.ports[self.port_names[0]]

    def _settle(self) -> None:
        self._wanted = True
        for name in self.port_names:
            self._choice.pin(name)

    def _run(self) -> None:
        self._process.start(
            self.command(), cwd=self.data_dir, environment=self.environment(), user=self.user()
        )

    async def _answers(self) -> bool:
        """Wait until the server answers; False when it ended before it did."""
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
    """The path of a program in `folder`, with the ending that the system wants."""
    return folder / (f"{name}.exe" if sys.platform == "win32" else name)


def package_folders(name: str) -> list[Path]:
    """The folders of a Python package, which is not imported; empty where it is not installed."""
    package = importlib.util.find_spec(name)
    return [
        Path(folder) for folder in (package.submodule_search_locations if package else ()) or ()
    ]


def password(file: Path) -> str:
    """The password kept in `file`, made at the first call and readable by us alone."""
    if not file.exists():
        fresh = file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(24))
        fresh.replace(file)
    return file.read_text().strip()
