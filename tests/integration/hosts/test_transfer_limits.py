"""Hosts that accept a connection and then say nothing, or little for ever: transfers end."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import ActivityEnvironment

from stepway.activities.git import remote
from stepway.activities.git.remote import Remote, SshKey
from stepway.activities.git.watch import Limits
from stepway.activities.repository.push_template import PushTemplateInput, TemplateSteps
from stepway.activities.templates import fetch as template_fetch
from stepway.activities.templates.fetch import Access, Repository, resolve
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import GitRemote, HostRepository
from tests.integration.hosts.places import Place
from tests.integration.hosts.stage import Stage, new_stage
from tests.support.githost.ssh import SshDoor, ssh_door
from tests.support.secrets_of_kinds import ssh_key

KEY = ssh_key()
NAME = "deploy-key"
LONG = 1e6
ROOMS = tuple(f"/activities/{room}/" for room in ("git", "repository", "templates"))


@pytest.fixture
async def door(on_github: Place) -> AsyncIterator[SshDoor]:
    assert on_github.server is not None
    async with ssh_door(on_github.server, KEY) as opened:
        yield opened


@pytest.fixture
async def stage(on_github: Place, tmp_path: Path) -> Stage:
    made = new_stage(on_github, tmp_path / "templates")
    await made.create()
    return made


@pytest.fixture
async def over_ssh(on_github: Place, door: SshDoor, tmp_path: Path) -> Stage:
    made = new_stage(on_github, tmp_path / "templates")
    made.key = SshKey(KEY, door.known_hosts, NAME)
    await made.create()
    return made


def left_over() -> list[str]:
    """What of transfers is still there: processes, keys, connections, threads."""
    children = psutil.Process().children(recursive=True)
    found = [one.name() for one in children if one.name() == "ssh"]
    opened = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    found += [name for name in opened if name.startswith("/memfd:stepway")]
    found += [one.name for one in threading.enumerate() if one.name == "git-watch"]
    for number, frame in sys._current_frames().items():
        while frame is not None:
            if any(room in frame.f_code.co_filename for room in ROOMS):
                found.append(f"thread {number} in {frame.f_code.co_name}")
            frame = frame.f_back  # type: ignore[assignment]
    return found


async def nothing_left() -> None:
    """Wait until nothing is left over."""
    async with asyncio.timeout(60):
        while left_over():  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.05)


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - whatever the condition
            await asyncio.sleep(0.01)


async def refused(stage: Stage, **more: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await stage.push(**more)
    assert not caught.value.non_retryable
    return caught.value


@pytest.mark.parametrize(
    ("to", "most"), [("upload-pack", 0), ("upload-pack", 40), ("receive-pack", 0)]
)
async def test_a_silent_ssh_server_is_left_after_a_time(
    over_ssh: Stage, door: SshDoor, monkeypatch: pytest.MonkeyPatch, to: str, most: int
) -> None:
    monkeypatch.setattr(remote, "LIMITS", Limits(1, LONG))
    door.to, door.most = to, most
    error = await refused(over_ssh, ssh_credential=NAME)
    assert error.message == "127.0.0.1 was silent for 1 s during a transfer of Git"
    assert left_over() == []
    door.most = None
    pushed = await over_ssh.push(ssh_credential=NAME)
    assert over_ssh.commits() == [pushed.commit]


async def test_an_ssh_server_that_sends_little_for_ever_is_left_after_a_time(
    over_ssh: Stage, door: SshDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "LIMITS", Limits(LONG, 2))
    door.most, door.drip = 4, 0.1
    error = await refused(over_ssh, ssh_credential=NAME)
    assert error.message == "127.0.0.1 did not finish a transfer of Git within 2 s"
    assert left_over() == []


async def test_an_ssh_server_that_keeps_the_connection_open_after_a_push_is_left(
    over_ssh: Stage, door: SshDoor
) -> None:
    door.stays = True
    pushed = await over_ssh.push(ssh_credential=NAME)
    assert over_ssh.commits() == [pushed.commit]
    assert left_over() == []


async def cancelled(stage: Stage, is_silent: Any, **more: Any) -> None:
    """Cancel a push while the host is silent."""
    environment = ActivityEnvironment()
    steps = TemplateSteps(stage.open, stage.open_key, stage.templates())
    given = PushTemplateInput(stage.project, "mine", {}, **{**stage.where, **more})
    running = asyncio.ensure_future(environment.run(steps.push_template, given))
    await until(is_silent)
    assert left_over() != []
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await nothing_left()


@pytest.mark.parametrize("to", ["upload-pack", "receive-pack"])
async def test_a_cancel_ends_the_connection_to_a_silent_ssh_server(
    over_ssh: Stage, door: SshDoor, to: str
) -> None:
    door.to, door.most = to, 0
    await cancelled(over_ssh, lambda: door.silences, ssh_credential=NAME)


@pytest.mark.parametrize("limit", ["silent", "whole", "cancel"])
async def test_a_template_from_a_silent_ssh_server_is_given_up(
    over_ssh: Stage, door: SshDoor, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    door.most = 0
    url = f"{door.address}{over_ssh.place.owner}/{over_ssh.project.name}.git"
    access = Access(NAME, key=KEY, known_hosts=door.known_hosts)
    if limit == "silent":
        monkeypatch.setattr(template_fetch, "SILENT", 1)
    if limit == "whole":
        monkeypatch.setattr(template_fetch, "SECONDS", 3)

    def beat() -> None:
        if limit == "cancel" and door.silences:
            raise CancelledError

    with pytest.raises((ApplicationError, CancelledError)) as caught:
        await asyncio.to_thread(lambda: resolve(Repository(url, access), "main", beat))
    said = {
        "silent": f"Cannot reach the template's repository {url}: "
        "it was silent for 1 s during a transfer of Git",
        "whole": f"The template's repository {url} was not read within 3 s",
        "cancel": "Cancelled",
    }
    assert getattr(caught.value, "message", "") == said[limit]
    await nothing_left()


class Slow:
    """An HTTP server that answers `first`, then a byte every `every` seconds; none if that is 0."""

    def __init__(self, first: bytes, every: float) -> None:
        self._first = first
        self._every = every
        self.met = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self._first)
            self.met += 1
            while self._every:
                writer.write(b"0")
                await writer.drain()
                await asyncio.sleep(self._every)
            await reader.read()
        except ConnectionError:
            pass  # the client has left
        finally:
            writer.close()


GIT = b"Content-Type: application/x-git-upload-pack-advertisement\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
PARTS = {
    "status": b"",
    "headers": b"HTTP/1.1 200 OK\r\nX-A: ",
    "refs": b"HTTP/1.1 200 OK\r\n" + GIT + b"ffff",
    "chunk": b"HTTP/1.1 200 OK\r\n" + CHUNKED + GIT + b"0",
    "error": b"HTTP/1.1 500 No\r\nContent-Length: 9000\r\n\r\n",
}


@asynccontextmanager
async def served(part: str, every: float) -> AsyncIterator[tuple[Slow, str]]:
    """Yield a server that stops in this part of its answer, and the URL of a repository there."""
    slow = Slow(PARTS[part], every)
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    async with server:
        yield slow, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/acme/x.git"


def never() -> None:
    """Never cancel."""


async def ended(url: str) -> HostError:
    """Read the refs of a repository; return the error."""
    found = Remote(GitRemote(url, "u", "p"), "acme/x", "work")
    with pytest.raises(HostError) as caught:
        await asyncio.to_thread(found.refs, never)
    assert left_over() == []
    return caught.value


@pytest.mark.parametrize("part", PARTS)
async def test_a_silent_web_server_is_left_after_a_time(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(remote, "LIMITS", Limits(1, LONG))
    async with served(part, 0) as (_, url):
        error = await ended(url)
    if part == "error":
        assert error.message == "127.0.0.1 answered 500 to Git"
        return
    assert error.message == "127.0.0.1 was silent for 1 s during a transfer of Git"
    assert error.reason is Reason.TIMED_OUT


@pytest.mark.parametrize("part", PARTS)
async def test_a_web_server_that_sends_little_for_ever_is_left_after_a_time(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(remote, "LIMITS", Limits(LONG, 1))
    async with served(part, 0.1) as (_, url):
        error = await ended(url)
    assert error.message == "127.0.0.1 did not finish a transfer of Git within 1 s"
    assert error.reason is Reason.TIMED_OUT


@pytest.mark.parametrize("part", PARTS)
async def test_a_cancel_ends_the_connection_to_a_web_server(part: str) -> None:
    async with served(part, 0.1) as (slow, url):

        def beat() -> None:
            if slow.met:
                raise CancelledError

        found = Remote(GitRemote(url, "u", "p"), "acme/x", "work")
        with pytest.raises(CancelledError):
            await asyncio.to_thread(found.refs, beat)
        assert left_over() == []


async def test_a_cancelled_step_ends_its_connection_to_a_web_server(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served("refs", 0) as (slow, url):

        async def elsewhere(repository: HostRepository) -> GitRemote:
            return GitRemote(url, "u", "p")

        monkeypatch.setattr(stage.place.host, "remote", elsewhere)
        await cancelled(stage, lambda: slow.met)
