"""Locks between threads and processes, shared or exclusive; the last holder removes the file."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def try_lock(file: Path, *, exclusive: bool) -> int | None:
    """A descriptor for `unlock`, if the lock is free right now.

    Any number may hold it shared, or one exclusively.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if not _is(file, descriptor):  # its holder has removed it meanwhile
        os.close(descriptor)
        return None
    return descriptor


def unlock(file: Path, descriptor: int) -> None:
    """Let the lock go; the last one to do so removes the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass  # others share it
    else:
        if _is(file, descriptor):
            file.unlink()
    finally:
        os.close(descriptor)


def _is(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
