"""The ports of a data folder: they stay the same over restarts while they are free."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Mapping
from pathlib import Path

from stepway.runtime.errors import ServerError

HOST = "127.0.0.1"
RANGE = range(20_000, 32_000)
"""Below the ports of outgoing connections. Otherwise a client that tries to reach a stopped server
could get that server's port as its own, and block it."""


class Ports:
    """Picks a port for each name and stores it in `file`. Ports in `fixed` never change."""

    def __init__(self, file: Path, fixed: Mapping[str, int]) -> None:
        self._file = file
        self._fixed = dict(fixed)
        self._chosen = _read(file)

    def get(self, name: str) -> int:
        """A free port for `name`. Raises ServerError if its fixed port is in use."""
        if name in self._fixed:
            return _fixed(name, self._fixed[name])
        port = self._chosen.get(name)
        if port is None or not is_free(port):
            port = self._pick()
        self._chosen[name] = port
        self._file.write_text(json.dumps(self._chosen))
        return port

    def pin(self, name: str) -> None:
        """Do not change the chosen port from now on, because clients use it."""
        if name in self._chosen:
            self._fixed[name] = self._chosen[name]

    def _pick(self) -> int:
        taken = {*self._chosen.values(), *self._fixed.values()}
        for port in random.sample(RANGE, k=200):
            if port not in taken and is_free(port):
                return port
        raise ServerError(f"no free port found on {HOST} between {RANGE.start} and {RANGE.stop}")


def is_free(port: int) -> bool:
    """Whether a server can listen on this port of the loopback address now."""
    with socket.socket() as probe:
        # Like servers: closing connections of an earlier server do not make a port busy.
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
