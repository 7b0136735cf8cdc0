"""A TCP proxy between two processes, which a fault can cut, slow down or make forget."""

from __future__ import annotations

import asyncio
from contextlib import suppress

HOST = "127.0.0.1"
CHUNK = 65536


class Proxy:
    """Forwards to `target`; clients use `port`, which stays the same."""

    def __init__(self, name: str, target: int) -> None:
        self.name = name
        self.port = 0
        self.delay = 0.0
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._away = asyncio.Lock()
        self._lose_answer_to = b""
        self._drop = b""
        self.lost_answers = 0
        self.dropped = 0

    async def start(self) -> None:
        """Listen, on the port it had before."""
        self._server = await asyncio.start_server(self._serve, HOST, self.port or None)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse clients, and cut those there are."""
        if self._server:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """Break every connection, both ways."""
        for writer in tuple(self._open):
            with suppress(RuntimeError):
                writer.transport.abort()

    async def away(self, seconds: float) -> None:
        """Be gone for a while: connections break, and none is taken."""
        async with self._away:
            await self.stop()
            await asyncio.sleep(seconds)
            await self.start()

    async def slow(self, seconds: float, delay: float) -> None:
        """Hold every piece back for a while."""
        self.delay = delay
        await asyncio.sleep(seconds)
        self.delay = 0.0

    def lose_answer_to(self, marker: bytes) -> None:
        """Once: forward what holds `marker`, then break the connection before the answer."""
        self._lose_answer_to = marker

    def drop_next(self, marker: bytes) -> None:
        """Once: swallow what the server sends with `marker` in it."""
        self._drop = marker

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, server_writer}
        losing = asyncio.Event()
        try:
            await asyncio.gather(
                self._up(reader, server_writer, losing), self._down(server_reader, writer, losing)
            )
        except (OSError, ConnectionAbortedError):
            self.cut_pair(writer, server_writer)
        finally:
            self._open -= {writer, server_writer}
            self.cut_pair(writer, server_writer)

    def cut_pair(self, *writers: asyncio.StreamWriter) -> None:
        for writer in writers:
            writer.transport.abort()

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while piece := await reader.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            if self._lose_answer_to and self._lose_answer_to in piece:
                self._lose_answer_to = b""
                losing.set()
            writer.write(piece)
            await writer.drain()
        raise ConnectionAbortedError

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while piece := await reader.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            if losing.is_set():
                self.lost_answers += 1
                raise ConnectionAbortedError
            if self._drop and self._drop in piece:
                self._drop = b""
                self.dropped += 1
                continue
            writer.write(piece)
            await writer.drain()
        raise ConnectionAbortedError
