"""Another user of the machine: `nobody`, for tests that run as root."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")

OTHER = pwd.getpwnam("nobody")


def as_other(program: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """Run a Python program, given as text, as `nobody`. Without our packages, which may be closed
    to other users.
    """
    return subprocess.Popen(
        [os.path.realpath(sys.executable), "-I", "-c", program, *map(str, arguments)],
        user=OTHER.pw_uid,
        group=OTHER.pw_gid,
        extra_groups=[],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
