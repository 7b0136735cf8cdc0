"""Looks for the secrets of the Git hosts in everything that a run has kept or sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import asyncpg
from google.protobuf.message import Message
from redis.asyncio import Redis
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from stepway.runtime.settings import Settings
from stepway.vault.errors import Unsigned
from tests.faults.hosts.forges import Forge, note_tokens
from tests.faults.hosts.seen import log_of
from tests.support.canaries import Canaries, everything_in, kept_in


class Searched(Protocol):
    """What is searched: a Cluster, or what a test has started."""

    folder: Path
    temporal: Client
    canaries: Canaries

    @property
    def settings(self) -> Settings:
        """The addresses of the servers."""

    @property
    def forges(self) -> Mapping[str, Forge]:
        """The hosts by kind."""


async def search(cluster: Searched, heard: list[str], workflows: str = "") -> list[str]:
    """Return which secrets were found and where.

    `heard` are the commands that Valkey has got, `workflows` a query for those to search.
    """
    canaries = cluster.canaries
    for forge in cluster.forges.values():
        note_tokens(forge, canaries)
        log = cluster.folder / f"host-{forge.kind}.log"
        await asyncio.to_thread(log.write_text, log_of(forge.host))
    found = {
        "Postgres": canaries.in_text(await _database(cluster.settings.database_url)),
        "Valkey's keys": canaries.in_text(await _keys(cluster.settings.redis_url)),
        "Valkey's commands": await asyncio.to_thread(canaries.in_text, "\n".join(heard)),
        "Temporal": await _in_histories(cluster.temporal, canaries, workflows),
    }
    files = await asyncio.to_thread(canaries.in_files, cluster.folder)
    found |= {str(file.relative_to(cluster.folder)): what for file, what in files.items()}
    return [
        f"secret found: {what} in {where}"
        for where, secrets in found.items()
        for what in sorted(secrets)
    ]


async def _database(url: str) -> str:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await everything_in(connection)
    finally:
        await connection.close()


async def _keys(url: str) -> str:
    async with Redis.from_url(url) as redis:
        return await kept_in(redis)


async def _in_histories(client: Client, canaries: Canaries, workflows: str) -> set[str]:
    """Return the secrets in any history, as it is stored, and as who has the keys reads it."""
    found: set[str] = set()
    async for text in _histories(client, workflows):
        found |= canaries.in_text(text)
    return found


async def _histories(client: Client, workflows: str) -> AsyncIterator[bytes]:
    codec = client.data_converter.payload_codec
    async for run in client.list_workflows(workflows):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        events = (await handle.fetch_history()).events
        yield b"\n".join(event.SerializeToString() for event in events)
        assert codec is not None
        for payload in (payload for event in events for payload in _payloads(event)):
            # What Temporal itself has written is not signed, and plain.
            with suppress(Unsigned):
                yield b"\n".join(each.data for each in await codec.decode([payload]))


def _payloads(message: Message) -> Iterator[Any]:
    """Yield all payloads within a message."""
    if isinstance(message, Payload):
        yield message
        return
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        if descriptor.message_type.GetOptions().map_entry:
            values = value.values()
        elif descriptor.is_repeated:
            values = value
        else:
            values = [value]
        for each in values:
            if isinstance(each, Message):
                yield from _payloads(each)
