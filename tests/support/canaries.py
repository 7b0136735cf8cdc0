"""Canaries: secrets that must be found nowhere, and a search through everything that is kept."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

from google.protobuf.json_format import MessageToJson
from redis.asyncio import Redis
from redis.exceptions import RedisError
from temporalio.client import Client

_END = 20
"""Characters at each end of a secret that are looked for: libraries cut long texts."""


_MOST_LINES = 4
"""Lines of a secret that are all looked for; of a longer one three are."""

_AGAIN = 0.05
"""Seconds until a listener connects again."""


class Queried(Protocol):
    """A pool of asyncpg, or a connection."""

    async def fetch(self, query: str, /) -> list[Any]: ...


def spellings(secret: str) -> frozenset[str]:
    """Return texts of which one is in every text that has the secret.

    As it is or cut at an end, with JSON's or a URL's escapes, or in base64.
    """
    parts = _parts(secret)
    plain = {cut for part in parts for cut in (part[:_END], part[-_END:])}
    forms = {
        form
        for text in plain
        for form in (text, json.dumps(text)[1:-1], quote(text, safe=""), quote_plus(text))
    }
    return frozenset(forms | {form for part in parts for form in _in_base64(part)})


def _parts(secret: str) -> list[str]:
    """Return the secret; of a key in PEM, some lines within its frame."""
    lines = [line for line in secret.splitlines() if not line.startswith("-----")]
    return lines if len(lines) < _MOST_LINES else [lines[0], lines[len(lines) // 2], lines[-2]]


def _in_base64(secret: str) -> Iterable[str]:
    """Yield the secret's part of a longer text in base64, by where the secret begins in it."""
    for before in range(3):
        encoded = b64encode(b"x" * before + secret.encode() + b"xx").decode()
        # The first and the last characters depend on the text around the secret.
        inside = encoded[(0, 2, 3)[before] : -4]
        yield inside
        yield inside.replace("+", "-").replace("/", "_")


@dataclass
class Canaries:
    """Secrets by what they are."""

    _known: dict[str, str] = field(default_factory=dict)
    _patterns: dict[bytes, str] = field(default_factory=dict)

    def add(self, what: str, secret: str) -> None:
        """Look for this secret, too."""
        if secret not in self._known:
            self._known[secret] = what
            self._patterns |= {form.encode(): what for form in spellings(secret)}

    def __len__(self) -> int:
        return len(self._known)

    def in_text(self, text: str | bytes) -> set[str]:
        """Return what of the secrets is in a text."""
        data = text if isinstance(text, bytes) else text.encode(errors="replace")
        return {what for pattern, what in self._patterns.items() if pattern in data}

    def in_files(self, *folders: Path) -> dict[Path, set[str]]:
        """Return the files below these folders that have a secret, in their name or content."""
        found: dict[Path, set[str]] = {}
        for file in (file for folder in folders for file in folder.rglob("*")):
            here = self.in_text(str(file)) | self.in_text(_content(file))
            if here:
                found[file] = here
        return found


def _content(file: Path) -> bytes:
    try:
        if file.is_symlink():
            return str(file.readlink()).encode()
        return file.read_bytes() if file.is_file() else b""
    except FileNotFoundError:  # A server has removed it meanwhile.
        return b""


async def everything_in(database: Queried) -> str:
    """Return all rows of all tables as text, as in a dump; bytes are decoded."""
    tables = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [await database.fetch(f'SELECT * FROM "{table[0]}"') for table in tables]
    return "\n".join(
        value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for table in rows
        for row in table
        for value in row.values()
    )


async def raw_history(temporal: Client, project: str, run: str | None = None) -> str:
    """Return the data of a project in Temporal, as stored."""
    # Use a client without a key, so that nothing is decrypted.
    handle = temporal.get_workflow_handle(f"initialize-{project}", run_id=run)
    events = [event async for event in handle.fetch_history_events()]
    raw = b"".join(event.SerializeToString() for event in events).decode(errors="replace")
    return raw + "".join(MessageToJson(event) for event in events)


@asynccontextmanager
async def overheard(url: str) -> AsyncIterator[list[str]]:
    """Collect all commands that Valkey receives in the block, also after it was restarted."""
    commands: list[str] = []
    listens = asyncio.Event()

    async def listen() -> None:
        while True:
            with suppress(RedisError, OSError):
                async with Redis.from_url(url) as redis, redis.monitor() as monitor:
                    listens.set()
                    async for command in monitor.listen():
                        commands.append(json.dumps(command["command"]))
            await asyncio.sleep(_AGAIN)

    listening = asyncio.create_task(listen())
    await listens.wait()
    try:
        yield commands
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def kept_in(redis: Redis) -> str:
    """Return all keys with their values as text."""
    return "\n".join([f"{key!r} {await _value(redis, key)!r}" async for key in redis.scan_iter()])


async def _value(redis: Redis, key: bytes) -> Any:
    kinds: Mapping[bytes | str, Any] = {
        b"string": lambda: redis.get(key),
        b"list": lambda: redis.lrange(key, 0, -1),
        b"set": lambda: redis.smembers(key),
        b"zset": lambda: redis.zrange(key, 0, -1),
        b"hash": lambda: redis.hgetall(key),
        b"stream": lambda: redis.xrange(key),
    }
    kind = await redis.type(key)
    return await kinds[kind]() if kind in kinds else None
