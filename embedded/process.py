"""A server as a child process: it ends with its parent, at the latest before the next start."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from stepway.runtime.setting_types import PREFIX

PR_SET_PDEATHSIG = 1
CLOCK_TOLERANCE = 2.0
"""Seconds by which two readings of a process's creation time may differ."""


class ChildProcess:
    """A program in its own session, so that Ctrl-C reaches only its parent.

    `log` is the file of its output; the output of the previous run is kept as `*.log.1`. `record`
    is the file that identifies the process, so that the next start can end it if this parent was
    killed.
    """

    def __init__(self, log: Path, record: Path, stop_signal: signal.Signals) -> None:
        self._log = log
        self._record = record
        self._stop_signal = stop_signal
        self._process: psutil.Popen | None = None

    @property
    def pid(self) -> int | None:
        """The id of the running process; None if it does not run."""
        return self._process.pid if self._process and self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(
        self,
        command: list[str],
        *,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        """Start `command`; `user` requires root.

        Call it on a thread that lives as long as the process: on Linux the kernel ends the child
        when the thread that started it ends.
        """
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as output:
            self._process = psutil.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**_inherited(), **(environment or {})},
                start_new_session=True,
                preexec_fn=ends_with_parent(self._stop_signal),
                **as_user(user),
            )
        identity = {"pid": self._process.pid, "created": self._process.create_time()}
        self._record.write_text(json.dumps(identity))

    async def stop(self, patience: float = 10.0) -> None:
        """Send the stop signal; after `patience` seconds kill the process and its children."""
        if self._process is not None:
            await asyncio.to_thread(end, self._process, self._stop_signal, patience)
        self._record.unlink(missing_ok=True)

    async def kill(self) -> None:
        """Kill the process and its children immediately."""
        if self._process is not None:
            await asyncio.to_thread(end, self._process, self._stop_signal, 0.0)

    def end_stale(self, patience: float = 10.0) -> None:
        """End the process of an earlier parent that was killed, if it still runs."""
        stale = _recorded(self._record)
        if stale is not None:
            end(stale, self._stop_signal, patience)
        self._record.unlink(missing_ok=True)

    def last_line(self) -> str:
        """The last line of its output, for error messages."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return text.strip().rpartition("\n")[2]


def end(process: psutil.Process, stop_signal: signal.Signals, patience: float) -> None:
    """Send the stop signal; after `patience` seconds kill the process and its children."""
    family = [process]
    try:
        family += process.children(recursive=True)
        if patience:
            process.send_signal(stop_signal)
            process.wait(patience)
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        """The process has ended already, or is killed below."""
    for member in family:
        if member.is_running():
            _kill(member)
    psutil.wait_procs([process], timeout=10)


def ends_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn`: Linux sends `stop_signal` to the child when its parent ends.

    None on other systems. It must run after the change of user, which would reset it.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return bind


def as_user(user: str | None) -> dict[str, Any]:
    """Arguments of `Popen` to run as `user`, without root's groups."""
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _inherited() -> dict[str, str]:
    """The environment without Stepway's settings, which hold secrets."""
    return {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}


def _recorded(record: Path) -> psutil.Process | None:
    try:
        identity = json.loads(record.read_text())
        process = psutil.Process(identity["pid"])
        same = abs(process.create_time() - identity["created"]) < CLOCK_TOLERANCE
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
    return process if same else None
