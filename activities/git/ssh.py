"""Git over SSH: the program ssh with a credential's key, within a transfer's limits."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader, RawIOBase
from typing import Any

from dulwich.client import SSHVendor, StrangeHostname, SubprocessWrapper
from dulwich.protocol import DEFAULT_GIT_PROTOCOL_VERSION_FETCH

from stepway.activities.git.watch import Watch
from stepway.activities.scratch import scratch

CONNECT = 10.0
"""Seconds that a connection may take."""

_PIECE = 1 << 16
_GRACE = 2.0
"""Seconds that ssh has to end when the connection is closed."""
_ALWAYS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": f"{CONNECT:.0f}",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
}


class Ssh(SSHVendor):
    """Starts ssh for dulwich. `close` ends every process that it has started, whatever they do.

    With `own_group`, each is the leader of a process group, which ends with it.
    """

    def __init__(self, words: list[str], watch: Watch, *, own_group: bool) -> None:
        self._words = words
        self._watch = watch
        self._own_group = own_group
        self._processes: list[subprocess.Popen[bytes]] = []

    def run_command(
        self,
        host: str,
        command: bytes,
        username: str | None = None,
        port: int | None = None,
        password: str | None = None,
        key_filename: str | None = None,
        ssh_command: str | None = None,
        protocol_version: int | None = None,
    ) -> SubprocessWrapper:
        """Start ssh with a command of Git for the host; of the options, only the port counts."""
        words = [*self._words, "-x"]
        if port:
            words += ["-p", str(port)]
        if protocol_version is None:
            protocol_version = DEFAULT_GIT_PROTOCOL_VERSION_FETCH
        if protocol_version > 0:
            words += ["-o", f"SetEnv=GIT_PROTOCOL=version={protocol_version}"]
        place = f"{username}@{host}" if username else host
        # ssh would take it for an option, also after an "=" such as that of ProxyCommand.
        if place.startswith("-") or host.startswith("-"):
            raise StrangeHostname(hostname=place)
        process = subprocess.Popen(
            [*words, place, os.fsdecode(command)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=self._own_group,
        )
        self._processes.append(process)
        self._watch.on_end(lambda: self._end(process))
        return _Piped(process, self._watch)

    def close(self) -> None:
        """End the processes, and wait for them."""
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            self._end(process)
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if self._own_group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


class _Piped(SubprocessWrapper):
    """The pipes of ssh, whose silence is counted."""

    def __init__(self, process: subprocess.Popen[bytes], watch: Watch) -> None:
        # Not the base's: its reader closes the pipe.
        self.proc = process
        assert process.stdin is not None and process.stdout is not None
        stdin = process.stdin
        self.read = BufferedReader(_Seen(process.stdout, watch)).read

        def write(data: bytes) -> int:
            for start in range(0, len(data), _PIECE):
                with watch.waiting():
                    stdin.write(data[start : start + _PIECE])
            return len(data)

        self.write = write  # type: ignore[assignment]
        self._errors = BufferedReader(_Seen(process.stderr, watch))

    @property
    def stderr(self) -> Any:
        """What ssh and the host write beside Git's answer."""
        return self._errors

    def close(self, timeout: int | None = None) -> None:
        """Tell the host that nothing more comes; Ssh.close ends the process."""
        for pipe in (self.proc.stdin, self.proc.stdout):
            if pipe is not None:
                pipe.close()


class _Seen(RawIOBase):
    def __init__(self, pipe: Any, watch: Watch) -> None:
        self._pipe = pipe
        self._watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        with self._watch.waiting():
            count: int | None = self._pipe.readinto(buffer)
        return count


@contextmanager
def ssh_words(key: str, known_hosts: str) -> Iterator[list[str]]:
    """Yield the words of ssh with this key, and only it; an empty key is the system's own.

    `known_hosts` are the lines of the hosts to trust, and only those; the system's where it is
    empty. On Linux neither is ever a file on a disk, so nothing stays there after a kill.
    """
    options, words = dict(_ALWAYS), ["ssh"]
    with ExitStack() as stack:
        if key:
            # Without the settings of the worker's account: they may name other keys.
            words += ["-F", "/dev/null"]
            options |= {"IdentitiesOnly": "yes", "IdentityAgent": "none"}
            options["IdentityFile"] = stack.enter_context(_held(key))
        if known_hosts:
            options["GlobalKnownHostsFile"] = "/dev/null"
            options["UserKnownHostsFile"] = stack.enter_context(_held(known_hosts))
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        yield words


@contextmanager
def _held(text: str) -> Iterator[str]:
    """Yield the path of a file with the text, which other accounts cannot read."""
    data = f"{text.strip()}\n".encode()
    if not hasattr(os, "memfd_create"):
        with scratch() as folder:
            path = folder / "held"
            path.touch(mode=0o600)
            path.write_bytes(data)
            yield str(path)
        return
    descriptor = os.memfd_create("stepway")
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
        file.flush()
        # ssh closes the descriptors that it inherits, so it opens this process's.
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
