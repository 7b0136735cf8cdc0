"""The event stream over HTTP, also when messages or connections are lost."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil
import pytest
from httpx_sse import ServerSentEvent, aconnect_sse
from redis.asyncio import Redis

from stepway.api.serving import GRACE
from stepway.embedded.servers import EmbeddedServers
from stepway.runtime.settings import Settings
from stepway_tracking.stream.options import HubOptions
from stepway_tracking.stream.publisher import channel
from tests.integration.reading.conftest import Serve, Site, Writer

PATIENCE = 20.0


def path(project_id: UUID) -> str:
    return f"/api/projects/{project_id}/initialization/events"


@dataclass
class Watcher:
    """Reads one stream and keeps the version of each event."""

    response: httpx.Response
    events: AsyncIterator[ServerSentEvent]

    async def next(self) -> ServerSentEvent:
        async with asyncio.timeout(PATIENCE):
            return await anext(self.events)

    async def until(self, version: int) -> list[int]:
        """Read up to this version; return the IDs."""
        ids: list[int] = []
        while not ids or ids[-1] < version:
            ids.append(int((await self.next()).id))
        return ids

    async def rest(self) -> list[ServerSentEvent]:
        """Read until the server closes the stream."""
        async with asyncio.timeout(PATIENCE):
            return [event async for event in self.events]


@asynccontextmanager
async def watch(
    site: Site, project_id: UUID, last: int | str | None = None
) -> AsyncIterator[Watcher]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with (
        site.client() as client,
        aconnect_sse(client, "GET", path(project_id), headers=headers) as source,
    ):
        yield Watcher(source.response, source.aiter_sse())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - whatever the condition, nothing signals it
            await asyncio.sleep(0.02)


async def test_stream_shows_an_initialization_from_plan_to_end(site: Site, writer: Writer) -> None:
    project_id = await writer.project()
    async with watch(site, project_id) as watcher:
        first = await watcher.next()
        assert (first.event, first.id) == ("snapshot", "1")
        snapshot = json.loads(first.data)
        assert [step["step"] for step in snapshot["steps"]][-1] == "finalize"
        await writer.start(project_id, "finalize")
        started = await watcher.next()
        assert (started.event, started.id) == ("step", "2")
        assert json.loads(started.data)["step"]["status"] == "running"
        await writer.end(project_id, "active")
        rest = await watcher.rest()
        assert [event.event for event in rest] == ["project", "end"]
        assert json.loads(rest[-1].data) == {"version": 4, "status": "active"}


async def test_stream_has_the_headers_that_proxies_need(site: Site, writer: Writer) -> None:
    async with watch(site, await writer.project()) as watcher:
        headers = watcher.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-cache, no-transform"
        assert headers["x-accel-buffering"] == "no"
        assert headers["transfer-encoding"] == "chunked"
        assert "content-length" not in headers


async def test_client_resumes_by_its_last_id(site: Site, writer: Writer) -> None:
    project_id = await writer.project()
    for step in ("resolve_credentials", "create_repository"):
        await writer.start(project_id, step)
    async with watch(site, project_id, 1) as watcher:
        assert await watcher.until(3) == [2, 3]
        await writer.start(project_id, "finalize")
        assert await watcher.until(4) == [4]


async def test_after_stands_for_the_header_which_wins(site: Site, writer: Writer) -> None:
    project_id = await writer.project()
    await writer.start(project_id, "finalize")
    async with site.client() as client:
        for headers, event in (({}, "id: 2\nevent: step"), ({"Last-Event-ID": "0"}, "id: 1\n")):
            async with client.stream(
                "GET", path(project_id), params={"after": "1"}, headers=headers
            ) as response:
                text = ""
                async for part in response.aiter_text():
                    text += part
                    if "event:" in text:
                        break
                assert event in text


@pytest.mark.parametrize("last", ["", "-1", "1.5", "abc", "1e3", "0x1", "1 2", "+1"])
async def test_malformed_id_is_refused(http: httpx.AsyncClient, writer: Writer, last: str) -> None:
    project_id = await writer.project()
    for answer in (
        await http.get(path(project_id), headers={"Last-Event-ID": last}),
        await http.get(path(project_id), params={"after": last}),
    ):
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert "decimal integer" in answer.json()["detail"]


@pytest.mark.parametrize("last", ["99", str(2**63), "9" * 400])
async def test_id_from_the_future_gets_a_snapshot(site: Site, writer: Writer, last: str) -> None:
    async with watch(site, await writer.project(), last) as watcher:
        first = await watcher.next()
        assert (first.event, first.id) == ("snapshot", "1")


async def test_unknown_project_is_not_found_before_any_stream(http: httpx.AsyncClient) -> None:
    answer = await http.get(path(uuid4()))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_reconnect_at_the_end_has_no_content(
    site: Site, http: httpx.AsyncClient, writer: Writer
) -> None:
    project_id = await writer.project()
    await writer.end(project_id, "failed")
    answer = await http.get(path(project_id), headers={"Last-Event-ID": "3"})
    assert answer.status_code == 204
    assert answer.content == b""
    async with watch(site, project_id) as watcher:
        assert [event.event for event in await watcher.rest()] == ["snapshot"]
    async with watch(site, project_id, 2) as watcher:
        assert [event.event for event in await watcher.rest()] == ["end"]


async def test_failed_initialization_that_waits_keeps_the_stream_open(
    site: Site, writer: Writer
) -> None:
    project_id = await writer.project()
    await writer.start(project_id, "finalize")
    async with watch(site, project_id) as watcher:
        await writer.step(project_id, "finalize", "failed", error="no")
        await writer.wait_for_a_person(project_id)
        assert await watcher.until(4) == [2, 3, 4]
        await writer.start(project_id, "resolve_credentials")
        await watcher.until(5)
    async with watch(site, project_id, 4) as watcher:
        await watcher.until(5)


async def test_overtaken_end_is_replayed_as_a_change_of_the_project(
    site: Site, writer: Writer
) -> None:
    project_id = await writer.project()
    await writer.end(project_id, "failed")
    await writer.start(project_id, "finalize")
    async with watch(site, project_id, 1) as watcher:
        events = [await watcher.next() for _ in range(4)]
        assert [event.id for event in events] == ["2", "3", "4", "5"]
        assert [event.event for event in events] == ["project", "project", "project", "step"]
        overtaken = json.loads(events[1].data)
        assert overtaken["project"]["status"] == "failed"
        assert overtaken["version"] == 3


async def test_event_lost_by_redis_reaches_the_client_within_the_check(
    site: Site, writer: Writer
) -> None:
    project_id = await writer.project()
    async with watch(site, project_id) as watcher:
        await watcher.next()
        await writer.start(project_id, "finalize", lost=True)
        async with asyncio.timeout(3):
            assert (await watcher.next()).id == "2"


async def test_gap_is_closed_without_a_disconnect(site: Site, writer: Writer) -> None:
    project_id = await writer.project()
    async with watch(site, project_id) as watcher:
        await watcher.next()
        await writer.start(project_id, "resolve_credentials", lost=True)
        await writer.start(project_id, "create_repository", lost=True)
        await writer.start(project_id, "finalize")
        async with asyncio.timeout(1):
            assert await watcher.until(4) == [2, 3, 4]


async def test_strange_messages_on_the_channel_are_ignored(
    site: Site, writer: Writer, settings: Settings
) -> None:
    project_id = await writer.project()
    async with watch(site, project_id) as watcher, Redis.from_url(settings.redis_url) as redis:
        await watcher.next()
        for message in ("", "null", '{"version": 2}', "\ud83d".encode("utf-8", "replace"), b"\xff"):
            await redis.publish(channel(project_id), message)
        await writer.start(project_id, "finalize")
        assert await watcher.until(2) == [2]


async def test_without_redis_events_come_by_the_position_check(
    serve: Serve, writer: Writer
) -> None:
    for url in ("redis://127.0.0.1:1", ""):
        async with serve(HubOptions(check_interval=0.3), redis_url=url) as site:
            project_id = await writer.project()
            async with watch(site, project_id) as watcher:
                await watcher.next()
                await writer.start(project_id, "finalize")
                assert await watcher.until(2) == [2]
                await writer.end(project_id, "active")
                assert [event.event for event in await watcher.rest()] == ["project", "end"]


async def test_redis_killed_and_back_is_subscribed_again(
    serve: Serve, writer: Writer, servers: EmbeddedServers
) -> None:
    async with serve(HubOptions(check_interval=60)) as site:
        project_id = await writer.project()
        async with watch(site, project_id) as watcher:
            await watcher.next()
            connections = site.hub.counts.redis_connections
            await servers.kill("valkey")
            await until(lambda: not site.hub.redis_connected)
            await writer.start(project_id, "resolve_credentials")
            await servers.restart("valkey")
            # What was missed while Redis was away is read as soon as it is back.
            assert await watcher.until(2) == [2]
            assert site.hub.counts.redis_connections == connections + 1
            await writer.start(project_id, "finalize")
            assert await watcher.until(3) == [3]


async def test_silent_redis_is_pinged_and_given_up(
    serve: Serve, writer: Writer, servers: EmbeddedServers
) -> None:
    async with serve(HubOptions(silence=0.2)) as site:
        await until(lambda: site.hub.redis_connected)
        valkey = psutil.Process(servers["valkey"].pid)
        valkey.send_signal(signal.SIGSTOP)
        try:
            await until(lambda: not site.hub.redis_connected)
            project_id = await writer.project(lost=True)
            async with watch(site, project_id) as watcher:
                assert (await watcher.next()).event == "snapshot"
        finally:
            valkey.send_signal(signal.SIGCONT)
        await until(lambda: site.hub.redis_connected)


async def test_streams_beyond_the_limit_are_told_to_come_later(
    serve: Serve, writer: Writer
) -> None:
    async with serve(HubOptions(max_streams=1)) as site, site.client() as client:
        project_id = await writer.project()
        async with watch(site, project_id) as watcher:
            await watcher.next()
            refused = await client.get(path(project_id))
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
        await until(lambda: site.hub.streams == 0)
        async with watch(site, project_id) as watcher:
            await watcher.next()


async def test_client_that_leaves_is_forgotten(site: Site, writer: Writer) -> None:
    open_before = site.hub.streams
    async with watch(site, await writer.project()) as watcher:
        await watcher.next()
        assert site.hub.streams == open_before + 1
    await until(lambda: site.hub.streams == open_before)


async def test_frozen_client_is_closed_and_costs_the_others_nothing(
    serve: Serve, writer: Writer
) -> None:
    options = HubOptions(write_timeout=0.5, sweep_interval=0.1)
    async with serve(options) as site:
        project_id = await writer.project()
        host, port = site.url.removeprefix("http://").split(":")
        reader, frozen = await asyncio.open_connection(host, int(port), limit=1024)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        frozen.write(f"GET {path(project_id)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        async with watch(site, project_id) as watcher:
            await watcher.next()
            await until(lambda: site.hub.streams == 2)
            version = 1
            while site.hub.streams == 2:
                await writer.step(project_id, "finalize", "attempt_failed", error="x" * 500_000)
                version += 1
                assert await watcher.until(version) == [version]
            assert site.hub.counts.streams_too_slow == 1
        frozen.close()


async def test_quiet_stream_says_something(serve: Serve, writer: Writer) -> None:
    options = HubOptions(keepalive=0.5, sweep_interval=0.1)
    url = path(await writer.project())
    text = ""
    async with (
        serve(options) as site,
        site.client() as client,
        client.stream("GET", url) as response,
        asyncio.timeout(PATIENCE),
    ):
        async for part in response.aiter_text():
            text += part
            if text.count(": keep-alive\n\n") == 3:
                break
    assert re.match(r"retry: \d+\nid: 1\nevent: snapshot\n", text)


async def test_stream_is_rotated_and_resumes(serve: Serve, writer: Writer) -> None:
    async with serve(HubOptions(rotate_after=0.5, sweep_interval=0.1)) as site:
        project_id = await writer.project()
        async with watch(site, project_id) as watcher:
            assert [event.id for event in await watcher.rest()] == ["1"]
        await writer.start(project_id, "finalize")
        async with watch(site, project_id, 1) as watcher:
            assert [event.id for event in await watcher.rest()] == ["2"]


async def test_stopping_ends_streams_at_once(serve: Serve, writer: Writer) -> None:
    project_id = await writer.project()
    loop = asyncio.get_running_loop()
    async with serve() as site:
        live: list[str] = []
        clients = [asyncio.create_task(_drain(site, project_id, live)) for _ in range(10)]
        await until(lambda: live == ["snapshot"] * 10)
        stopping = loop.time()
    assert loop.time() - stopping < GRACE
    assert await asyncio.gather(*clients) == [[]] * 10


async def _drain(site: Site, project_id: UUID, live: list[str]) -> list[str]:
    """Add the first event to `live`; return the events that follow it."""
    async with watch(site, project_id) as watcher:
        live.append((await watcher.next()).event)
        return [event.event for event in await watcher.rest()]


async def test_postgres_restarted_under_a_stream_loses_nothing(
    serve: Serve, writer: Writer, servers: EmbeddedServers
) -> None:
    async with serve(HubOptions(check_interval=0.3)) as site, site.client() as client:
        project_id = await writer.project()
        async with watch(site, project_id) as watcher:
            await watcher.next()
            await servers.kill("postgres")
            answer = await client.get(path(project_id))
            assert answer.status_code == 503
            assert "retry-after" in answer.headers
            await servers.restart("postgres")
            await writer.start(project_id, "finalize", lost=True)
            assert await watcher.until(2) == [2]


async def test_many_watchers_of_many_projects_each_get_every_version(
    site: Site, writer: Writer
) -> None:
    projects = [await writer.project() for _ in range(4)]

    async def change(project_id: UUID) -> None:
        for number in range(30):
            lost: dict[str, Any] = {"lost": number % 3 == 0}
            await writer.step(project_id, "finalize", "attempt_failed", error="x", **lost)
        await writer.end(project_id, "active", lost=True)

    async def follow(project_id: UUID) -> list[int]:
        ids: list[int] = []
        while True:
            async with watch(site, project_id, ids[-1] if ids else 0) as watcher:
                if watcher.response.status_code == 204:
                    return ids
                for event in await watcher.rest():
                    ids.append(int(event.id))

    watchers = [asyncio.create_task(follow(project_id)) for project_id in projects * 5]
    await asyncio.gather(*(change(project_id) for project_id in projects))
    for ids in await asyncio.gather(*watchers):
        assert ids == list(range(1, 34))
