"""Odd files, and odd hosts in the middle of a push: one commit with all of it, or a clear error."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.git import http_client, remote
from stepway.activities.git.remote import Remote
from stepway.activities.repository import target
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.host import GitRemote
from tests.integration.hosts.places import Place
from tests.integration.hosts.stage import Stage, new_stage
from tests.support.githost.answers import Answer
from tests.support.githost.faults import html_page
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.server import running_host

RECEIVE = r"POST .*git-receive-pack"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses while something new is not yet visible."""
    monkeypatch.setattr(remote, "NOT_YET", (0.01,) * 6)
    monkeypatch.setattr(target, "NOT_YET", (0.01,) * 6)


@pytest.fixture
async def stage(on_github: Place, tmp_path: Path) -> Stage:
    made = new_stage(on_github, tmp_path / "templates")
    await made.create()
    return made


def nothing() -> None:
    """Take no notice of heartbeats."""


async def refused(stage: Stage, **more: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await stage.push(**more)
    return caught.value


NAMES = (
    "空 白.txt",
    "каталог/файл.txt",
    "עברית.txt",
    "emoji-🚀.md",
    "e\u0301-decomposed.txt",
    "-leading-dash",
    "quote'and\"double.txt",
    "percent%20and#hash.txt",
    "$HOME and `tick`.txt",
    "one {brace.txt",
    "two\nlines.txt",
    "tab\there.txt",
    "back\\slash.txt",
    "aux.txt",
    "a/b/c/d/e/f/g/h/i/j/deep.txt",
    "n" * 240,
)


async def test_names_in_any_script_are_kept(stage: Stage, tmp_path: Path) -> None:
    root = stage.folder / "mine"
    kept = {}
    for number, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{number}\n")
        kept[name] = (0o100644, f"{number}\n".encode())
    await stage.push()
    found = stage.files()
    assert {name: found.get(name) for name in kept} == kept
    # Git itself reads them, too.
    clone = tmp_path / "clone"
    await asyncio.to_thread(
        subprocess.run, ["git", "clone", "-q", str(stage.path), str(clone)], check=True
    )
    assert {name: (clone / name).read_bytes() for name in kept} == {
        name: content for name, (_, content) in kept.items()
    }


async def test_a_name_that_is_not_text_is_refused(stage: Stage) -> None:
    (stage.folder / "mine").joinpath(os.fsdecode(b"caf\xe9.txt")).write_text("x")
    error = await refused(stage)
    assert "the name caf\\xe9.txt is not valid UTF-8" in error.message
    assert error.non_retryable
    assert stage.refs() == {}


async def test_six_hundred_files_are_one_commit(stage: Stage) -> None:
    root = stage.folder / "mine"
    for folder in range(30):
        (root / f"{folder:02}").mkdir()
        for file in range(20):
            (root / f"{folder:02}" / f"{file:02}.txt").write_text(f"{folder} {file}\n")
    pushed = await stage.push()
    assert pushed.files > 600
    assert len(stage.files()) == pushed.files
    assert stage.commits() == [pushed.commit]


async def test_a_large_file_is_streamed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "_BUFFER", 8 << 20)
    content = Random(1).randbytes(20 << 20)
    (stage.folder / "mine" / "large.bin").write_bytes(content)
    stage.place.server.world.largest_file = 100 << 20
    pushed = await stage.push()
    assert stage.files()["large.bin"] == (0o100644, content)
    assert stage.commits() == [pushed.commit]
    (sent,) = stage.place.server.requests(RECEIVE)
    assert "transfer-encoding" in sent.headers


async def test_a_host_that_takes_a_push_slowly_gets_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than the buffers of the connection hold while the host does not read.
    (stage.folder / "mine" / "large.bin").write_bytes(Random(1).randbytes(16 << 20))
    monkeypatch.setattr(http_client, "CONNECT", 1.0)
    slow = stage.place.server.faults.add(RECEIVE, delay=4.0)
    pushed = await stage.push()
    assert slow.met == 1
    # GitHub wants the length, up to the size that is buffered.
    (sent,) = stage.place.server.requests(RECEIVE)
    assert "transfer-encoding" not in sent.headers
    assert stage.commits() == [pushed.commit]


@pytest.mark.parametrize("most", [0, 3, 10, 30])
async def test_an_answer_that_breaks_off_after_the_push_leaves_one_commit(
    stage: Stage, most: int
) -> None:
    cut = stage.place.server.faults.add(RECEIVE, effect=True, most=most)
    pushed = await stage.push()
    assert cut.met == 1
    assert stage.commits() == [pushed.commit]
    assert await stage.push() == pushed


async def test_a_list_of_branches_that_breaks_off_is_an_error_to_retry(stage: Stage) -> None:
    await stage.push()
    found = Remote(await stage.place.host.remote(await stage.found()), "acme/x", "work")
    for most in (0, 3, 40, 100):
        cut = stage.place.server.faults.add(r"GET .*info/refs", effect=True, most=most)
        with pytest.raises(HostError, match=r"127\.0\.0\.1 ended the connection") as caught:
            await asyncio.to_thread(found.refs, nothing)
        assert cut.met == 1
        assert caught.value.reason is Reason.UNREACHABLE
    stage.place.server.faults.add(r"GET .*info/refs", effect=True, most=40)
    assert not (await refused(stage)).non_retryable


@pytest.mark.parametrize("where", [r"GET .*info/refs", RECEIVE])
async def test_a_page_in_place_of_git_is_an_error_to_retry(stage: Stage, where: str) -> None:
    stage.place.server.faults.add(where, html_page(), times=9)
    error = await refused(stage)
    assert error.message == "127.0.0.1 does not answer as a Git server"
    assert not error.non_retryable
    assert stage.refs() == {}


async def test_a_repository_that_is_hidden_for_twenty_seconds_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    waited: list[float] = []
    monkeypatch.setattr(remote, "_pause", lambda seconds, beat: waited.append(seconds))

    def is_hidden(line: str) -> bool:
        return sum(waited) < 20 and "info/refs" in line

    faults = stage.place.server.faults
    meet = faults.meet
    hidden = faults.add("never", Answer(404, "Not found."))
    monkeypatch.setattr(faults, "meet", lambda line: hidden if is_hidden(line) else meet(line))
    pushed = await stage.push()
    assert sum(waited) >= 20
    assert stage.commits() == [pushed.commit]


async def test_a_renamed_repository_is_reached_at_the_same_host(stage: Stage) -> None:
    found = await stage.place.host.remote(await stage.found())
    new = f"{found.url.removesuffix('.git')}.git/info/refs?service=git-upload-pack"
    old = GitRemote(f"{stage.place.server.url}/acme/old.git", found.username, found.password)
    await stage.push()
    moved = Answer(301, "Moved", headers={"Location": new})
    stage.place.server.faults.add(r"GET /acme/old.git/info/refs", moved)
    refs = Remote(old, "acme/old", "work").refs(nothing)
    assert {name.decode(): value.decode() for name, value in refs.items()} == stage.refs()


async def test_a_redirect_to_another_host_is_not_followed(stage: Stage) -> None:
    found = await stage.place.host.remote(await stage.found())
    with running_host(GitHubSurface) as other:
        to = f"{other.url}/acme/new.git/info/refs?service=git-upload-pack"
        moved = Answer(301, "Moved", headers={"Location": to})
        stage.place.server.faults.add(r"GET .*info/refs", moved)
        with pytest.raises(HostError) as caught:
            Remote(found, "acme/old", "work").refs(nothing)
        assert other.log == []
    assert f"another host: {other.url}/acme/new.git" in caught.value.message
    assert caught.value.reason is Reason.INVALID
    assert "credential set work … --url URL" in caught.value.remedy


async def test_a_token_that_expires_between_two_attempts_is_named_and_replaced(
    stage: Stage,
) -> None:
    server = stage.place.server
    # The push takes place, its answer is lost, and nobody can look whether it did.
    server.faults.add(RECEIVE, lost=True, effect=True)
    server.faults.add(r"GET .*info/refs", Answer(401, "no"), skip=2)
    error = await refused(stage)
    assert not error.non_retryable
    server.faults.add(r".*info/refs", Answer(401, "no"), times=9)
    error = await refused(stage)
    assert "does not accept the credential work" in error.message
    assert "stepway credential set work" in error.details[0]["remedy"]
    server.faults.clear()
    pushed = await stage.push()
    assert stage.commits() == [pushed.commit]


async def test_a_proxy_that_wants_a_sign_in_is_said(stage: Stage) -> None:
    stage.place.server.faults.add(r"GET .*info/refs", Answer(407, "no"), times=9)
    error = await refused(stage)
    assert "The proxy of the workers asks for a sign-in" in error.message
    assert "https_proxy" in error.details[0]["remedy"]
