"""What hosts inside a company have: a private authority, and a proxy in front."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.secrets_of_kinds import certificate, ec_key, pem_of

INTERNAL = "git.internal.example"


def private(tmp_path: Path, *names: str) -> tuple[ssl.SSLContext, str]:
    """A server's context with a certificate that only its own text makes trusted."""
    key = ec_key()
    made = certificate(key, *names)
    (tmp_path / "host.pem").write_text(made + pem_of(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "host.pem")
    return context, made


@asynccontextmanager
async def proxy(port: int, sign_in: str = "") -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that connects everybody to a port of this machine; its address, and its log.

    With `sign_in` (`USER:PASSWORD`) it refuses everybody else; the address has it.
    """
    asked: list[str] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _, headers = (await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")
        if sign_in and f"Basic {b64encode(sign_in.encode()).decode()}" not in headers:
            writer.write(b"HTTP/1.1 407 Sign in\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        asked.append(line)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield (
            f"http://{sign_in and sign_in + '@'}127.0.0.1:{server.sockets[0].getsockname()[1]}",
            asked,
        )
