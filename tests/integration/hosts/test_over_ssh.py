"""The template goes to a host over SSH, with a key that only the credential has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.git import remote
from stepway.activities.git.remote import SshKey
from stepway.activities.repository import target
from stepway.activities.templates.fetch import Access, Repository, resolve
from stepway.activities.templates.fetch import fetch as fetch_template
from tests.integration.hosts.places import Place
from tests.integration.hosts.stage import Stage, new_stage
from tests.support.githost.ssh import SshDoor, ssh_door
from tests.support.leftovers import left_by_steps
from tests.support.secrets_of_kinds import ssh_key

KEY = ssh_key()
NAME = "deploy-key"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses while something new is not yet visible."""
    monkeypatch.setattr(remote, "NOT_YET", (0.01,) * 2)
    monkeypatch.setattr(target, "NOT_YET", (0.01,) * 2)


@pytest.fixture
async def door(on_github: Place) -> AsyncIterator[SshDoor]:
    assert on_github.server is not None
    async with ssh_door(on_github.server, KEY) as opened:
        yield opened


@pytest.fixture
async def stage(on_github: Place, door: SshDoor, tmp_path: Path) -> Stage:
    made = new_stage(on_github, tmp_path / "templates")
    made.key = SshKey(KEY, door.known_hosts, NAME)
    await made.create()
    return made


def held_in_memory() -> list[str]:
    """The files in memory that this process has open for keys."""
    opened = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [name for name in opened if name.startswith("/memfd:stepway")]


async def refused(stage: Stage, **more: Any) -> tuple[ApplicationError, str]:
    with pytest.raises(ApplicationError) as caught:
        await stage.push(ssh_credential=NAME, **more)
    shown = "".join(map(str, (caught.value, caught.value.details, caught.value.__cause__)))
    assert KEY.splitlines()[1] not in shown
    return caught.value, caught.value.details[0]["remedy"]


async def test_a_push_over_ssh_is_one_commit_also_when_it_is_repeated(
    stage: Stage, door: SshDoor
) -> None:
    pushed = await stage.push(ssh_credential=NAME)
    assert stage.refs() == {"refs/heads/main": pushed.commit}
    assert "picture.bin" in stage.files()
    assert f"git-receive-pack '/{stage.place.owner}/{stage.project.name}.git'" in door.commands
    assert not stage.place.server.requests(".*git-receive-pack")
    assert await stage.push(ssh_credential=NAME) == pushed
    (stage.folder / "mine" / "new.txt").write_text("new")
    newer = await stage.push(ssh_credential=NAME)
    assert stage.commits() == [newer.commit, pushed.commit]


async def test_nothing_of_the_key_is_ever_on_a_disk(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (stage.path / "hooks").mkdir(exist_ok=True)
    hook = stage.path / "hooks" / "pre-receive"
    # Git runs it while the connection of the push is open.
    hook.write_text(f"#!/bin/sh\ngrep -rl 'PRIVATE KEY' '{temporary}' > '{tmp_path}/found'\ntrue\n")
    hook.chmod(0o755)
    await stage.push(ssh_credential=NAME)
    assert (tmp_path / "found").read_text() == ""
    assert left_by_steps(temporary) == []
    assert not held_in_memory()


@pytest.mark.parametrize("known", ["none", "of another host", "another key"])
async def test_a_host_whose_key_is_not_stored_gets_nothing(
    stage: Stage, door: SshDoor, known: str
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    lines = {
        "none": "# no host\n",
        "of another host": door.known_hosts.replace("127.0.0.1", "git.example.com"),
        "another key": f"[127.0.0.1]:{door.port} {other}",
    }
    stage.key = SshKey(KEY, lines[known], NAME)
    error, remedy = await refused(stage)
    assert error.message == (
        f"The SSH key of 127.0.0.1 is not the one that is stored with the credential {NAME}"
    )
    assert error.non_retryable
    assert "--known-hosts FILE" in remedy
    assert door.commands == []


async def test_a_key_that_the_host_does_not_know_is_refused(stage: Stage, door: SshDoor) -> None:
    stage.key = SshKey(ssh_key(), door.known_hosts, NAME)
    error, remedy = await refused(stage)
    assert error.message == f"127.0.0.1 does not accept the SSH key of the credential {NAME}"
    assert error.non_retryable
    assert f"stepway credential set {NAME} --kind ssh" in remedy


async def test_a_repository_that_ssh_does_not_show_yet_is_an_error_to_retry(
    stage: Stage, door: SshDoor
) -> None:
    door.lines = ["ERROR: Repository not found."]
    error, _ = await refused(stage)
    assert "was not found on 127.0.0.1" in error.message
    assert not error.non_retryable
    assert len(door.commands) == 3
    door.lines = []
    pushed = await stage.push(ssh_credential=NAME)
    assert stage.refs() == {"refs/heads/main": pushed.commit}


async def test_an_account_that_the_host_has_blocked_is_named_in_its_words(
    stage: Stage, door: SshDoor
) -> None:
    door.lines = ["ERROR: Your account is suspended. Please check with your administrator."]
    error, _ = await refused(stage)
    assert "Your account is suspended" in error.message
    assert error.non_retryable


async def test_a_push_that_a_rule_refuses_has_the_hosts_words(stage: Stage) -> None:
    (stage.path / "hooks").mkdir(exist_ok=True)
    hook = stage.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'error: GH006: Protected branch update failed' >&2\nexit 1\n")
    hook.chmod(0o755)
    error, remedy = await refused(stage)
    assert "is protected" in error.message
    assert "GH006" in error.details[0]["details"]["host"]
    assert "turn the rule off until the template is pushed" in remedy


async def test_a_host_that_is_away_over_ssh_is_asked_again(stage: Stage, door: SshDoor) -> None:
    found = stage.place.stored(await stage.found())
    found.ssh = "ssh://git@127.0.0.1:1/"
    error, _ = await refused(stage)
    assert "ended the connection" in error.message
    assert not error.non_retryable


async def test_a_template_is_read_over_ssh_with_the_same_rules(
    stage: Stage, door: SshDoor, tmp_path: Path
) -> None:
    pushed = await stage.push(ssh_credential=NAME)
    url = f"{door.address}{stage.place.owner}/{stage.project.name}.git"
    good = Repository(url, Access(NAME, key=KEY, known_hosts=door.known_hosts))
    found = await asyncio.to_thread(lambda: resolve(good, "main", lambda: None))
    assert found.commit == pushed.commit
    folder = tmp_path / "fetched"
    folder.mkdir()
    await asyncio.to_thread(lambda: fetch_template(good, found.commit, folder, lambda: None))
    assert (folder / "files" / "README.md").read_text() == f"# {stage.project.name}\n"
    kept = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"PRIVATE KEY" in path.read_bytes()]
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    wrong = Repository(url, Access(NAME, key=KEY, known_hosts=f"[127.0.0.1]:{door.port} {other}"))
    with pytest.raises(ApplicationError, match=f"stored with the credential '{NAME}'") as caught:
        await asyncio.to_thread(lambda: resolve(wrong, "main", lambda: None))
    assert "--known-hosts FILE" in caught.value.details[0]["remedy"]
