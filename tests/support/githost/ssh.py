"""Git over SSH to the repositories of a host for tests: a real SSH server and the program git."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from tests.support.githost.server import Host

_SERVICES = ("git-upload-pack", "git-receive-pack")


@dataclass
class SshDoor:
    """A server that lets `allowed` in as `git`, and what was asked of it.

    `known_hosts` is the line of known_hosts with its key. `lines`, if set, are answered in place of
    Git. `most`, if set, are the bytes that Git may answer to a command that contains `to`; then the
    server is silent for ever, or sends a byte every `drip` seconds. If it `stays`, it keeps the
    connection open when Git has ended.
    """

    allowed: asyncssh.SSHKey
    port: int = 0
    known_hosts: str = ""
    commands: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    most: int | None = None
    to: str = ""
    drip: float = 0.0
    silences: int = 0
    stays: bool = False

    @property
    def address(self) -> str:
        """What stands before a repository's name in its URL."""
        return f"ssh://git@127.0.0.1:{self.port}/"


class _Server(asyncssh.SSHServer):
    def __init__(self, door: SshDoor) -> None:
        self._door = door

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "git" and key.public_data == self._door.allowed.public_data


@asynccontextmanager
async def ssh_door(host: Host, key: str) -> AsyncIterator[SshDoor]:
    """Serve the host's repositories to a private key; new ones have this address."""
    door = SshDoor(asyncssh.import_private_key(key))
    host_key = asyncssh.generate_private_key("ssh-ed25519")

    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.exit(await _served(host, door, process))

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        server_factory=lambda: _Server(door),
        process_factory=serve,
        encoding=None,
    )
    async with server:
        door.port = server.get_port()
        door.known_hosts = f"[127.0.0.1]:{door.port} {host_key.export_public_key().decode()}"
        before, host.world.ssh = host.world.ssh, door.address
        try:
            yield door
        finally:
            host.world.ssh = before


async def _served(host: Host, door: SshDoor, process: asyncssh.SSHServerProcess[bytes]) -> int:
    command = process.command or ""
    door.commands.append(command)
    service, _, path = command.partition(" ")
    if door.lines:
        process.stderr.write("".join(f"{line}\n" for line in door.lines).encode())
        return 1
    name = shlex.split(path)[0].strip("/").removesuffix(".git") if path else ""
    found = host.world.find(name)
    if service not in _SERVICES or found is None:
        process.stderr.write(b"ERROR: Repository not found.\n")
        return 1
    version = process.env.get("GIT_PROTOCOL", "")
    git = await asyncio.create_subprocess_exec(
        "git",
        "-c",
        "safe.directory=*",
        service.removeprefix("git-"),
        str(found.path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "GIT_PROTOCOL": version, "HOME": "/nonexistent"},
    )
    assert git.stdin and git.stdout and git.stderr
    if door.most is not None and door.to in command:
        await _silent(door, git, process)
    given = asyncio.create_task(_pump(process.stdin, git.stdin))
    await asyncio.gather(_pump(git.stdout, process.stdout), _pump(git.stderr, process.stderr))
    given.cancel()
    status = await git.wait()
    if service == "git-receive-pack":
        host.surface.after_push(found)
    if door.stays:
        await process.channel.wait_closed()
    return status


async def _silent(
    door: SshDoor, git: asyncio.subprocess.Process, process: asyncssh.SSHServerProcess[bytes]
) -> None:
    """Answer the first bytes, then nothing or a byte now and then, until the client is gone."""
    assert git.stdout is not None
    if door.most:
        process.stdout.write(await git.stdout.readexactly(door.most))
    door.silences += 1
    try:
        while door.drip and not process.is_closing():
            process.stdout.write(await git.stdout.readexactly(1))
            await asyncio.sleep(door.drip)
        await process.channel.wait_closed()
    finally:
        git.kill()


async def _pump(reader: Any, writer: Any) -> None:
    with suppress(ConnectionError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    if isinstance(writer, asyncio.StreamWriter):
        writer.close()
