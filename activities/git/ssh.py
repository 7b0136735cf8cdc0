"""The ssh command for Git with a credential's key. Uses the standard library only."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

CONNECT = 10.0
"""Seconds that a connection may take."""

_ALWAYS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": f"{CONNECT:.0f}",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
}


@contextmanager
def ssh_command(key: str, known_hosts: str) -> Iterator[str]:
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
        yield shlex.join(words)


@contextmanager
def _held(text: str) -> Iterator[str]:
    """Yield the path of a file with the text, which other accounts cannot read."""
    data = f"{text.strip()}\n".encode()
    if not hasattr(os, "memfd_create"):
        with TemporaryDirectory(prefix="stepway-") as folder:
            path = Path(folder, "held")
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
