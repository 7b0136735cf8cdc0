"""A TCP proxy that can cut, delay, silence or drop data between two processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

HOST = "127.0.0.1"
CHUNK = 65536

Hit = Callable[[int], None]
"""Called when an armed fault has its effect, with the port of the client's end."""

Armed = tuple[tuple[bytes, ...], Hit]
"""A fault for the next data that contain all these texts."""


class Proxy:
    """Forwards from an address of this machine to the port `target` on loopback.

    `port` stays the same across restarts.
    """

    def __init__(self, name: str, target: int, address: str = HOST) -> None:
        self.name = name
        self.address = address
        self.port = 0
        self.target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._away = asyncio.Lock()
        self._passing = asyncio.Event()
        self._passing.set()
        self._delay = 0.0
        self._answers_to_lose: list[Armed] = []
        self._messages_to_drop: list[Armed] = []

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, self.address, self.port or None)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse new clients and cut existing connections."""
        if self._server:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> bool:
        """Break all connections in both directions; return whether there were any."""
        broken = tuple(self._open)
        for writer in broken:
            with suppress(RuntimeError):
                writer.transport.abort()
        return bool(broken)

    async def away(self, seconds: float) -> None:
        """Stop for some seconds: break all connections and refuse new ones."""
        async with self._away:
            await self.stop()
            await asyncio.sleep(seconds)
            await self.start()

    async def slow(self, seconds: float, delay: float) -> None:
        """Delay all data for some seconds."""
        self._delay = delay
        await asyncio.sleep(seconds)
        self._delay = 0.0

    async def silent(self, seconds: float) -> None:
        """Forward nothing for some seconds, like a network that loses packets."""
        self._passing.clear()
        await asyncio.sleep(seconds)
        self._passing.set()

    def lose_answer_to(self, *markers: bytes, hit: Hit) -> None:
        """Once: forward data that contains all markers, then break the connection.

        `hit` is called when the server has answered.
        """
        self._answers_to_lose.append((markers, hit))

    def drop_next(self, marker: bytes, hit: Hit) -> None:
        """Once: drop data from the server that contains `marker`."""
        self._messages_to_drop.append(((marker,), hit))

    def disarm(self) -> None:
        """Disarm faults that have not had an effect."""
        self._answers_to_lose.clear()
        self._messages_to_drop.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, server_writer}
        self._open |= pair
        losing: list[Hit] = []
        with suppress(OSError):
            await asyncio.gather(
                self._up(reader, server_writer, losing), self._down(server_reader, writer, losing)
            )
        self._open -= pair
        for each in pair:
            each.transport.abort()

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: list[Hit]
    ) -> None:
        while piece := await self._read(reader):
            if hit := _take(self._answers_to_lose, piece):
                losing.append(hit)
            writer.write(piece)
            await writer.drain()
        raise ConnectionAbortedError

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: list[Hit]
    ) -> None:
        client = writer.get_extra_info("peername")[1]
        while piece := await self._read(reader):
            if losing:
                losing.pop()(client)
                break
            if hit := _take(self._messages_to_drop, piece):
                hit(client)
                continue
            writer.write(piece)
            await writer.drain()
        raise ConnectionAbortedError

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        piece = await reader.read(CHUNK)
        await self._passing.wait()
        if self._delay:
            await asyncio.sleep(self._delay)
        return piece


def _take(armed: list[Armed], piece: bytes) -> Hit | None:
    for one in armed:
        markers, hit = one
        if all(marker in piece for marker in markers):
            armed.remove(one)
            return hit
    return None
