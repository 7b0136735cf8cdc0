"""The ports of one data folder: the same ones over restarts, as long as nobody else took them."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Mapping
from pathlib import Path

from stepway.runtime.errors import ServerError

HOST = "127.0.0.1"
RANGE = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections: a client that keeps trying to reach a
stopped server could otherwise be given that server's own port, and hold it."""


class Ports:
    """Picks a port for each name and remembers it in `file`; `fixed` ports are not negotiable."""

    def __init__(self, file: Path, fixed: Mapping[str, int]) -> None:
        self._file = file
        self._fixed = dict(fixed)
        self._chosen = _read(file)

    def get(self, name: str) -> int:
        """The port for `name`, free at this moment.

        Raises ServerError when its fixed port is in use.
        """
        if name in self._fixed:
            return _fixed(name, self._fixed[name])
        port = self._chosen.get(name)
        if port is None or not is_free(port):
            port = self._pick()
        self._chosen[name] = port
        self._file.write_text(json.dumps(self._chosen))
        return port

    def pin(self, name: str) -> None:
        """Keep to the chosen port from now on: clients know it."""
        if name in self._chosen:
            self._fixed[name] = self._chosen[name]

    def _pick(self) -> int:
        taken = {*self._chosen.values(), *self._fixed.values()}
        for port in random.sample(RANGE, k=200):
            if port not in taken and is_free(port):
                return port
        raise ServerError(f"no free port found on {HOST} between {RANGE.start} and {RANGE.stop}")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of the loopback address now."""
    with socket.socket() as probe:
        # As servers do it: connections of an earlier server that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _fixed(name: str, port: int) -> int:
    if not is_free(port):
        raise ServerError(f"{name}: port {port} on {HOST} is in use; stop the program that uses it")
    return port


def _read(file: Path) -> dict[str, int]:
    try:
        chosen = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return {name: port for name, port in chosen.items() if port in RANGE}
