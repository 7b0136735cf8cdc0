"""Temporary folders of steps; those that a killed process left are removed by the next one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR
from threading import Lock

from stepway.activities.locks import try_lock, unlock

_PREFIX = "stepway-"
_LOCK = ".lock"

_making = Lock()
_own: dict[tuple[int, str], Path] = {}


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a new folder that only this account can read; it is removed afterwards."""
    with tempfile.TemporaryDirectory(dir=_folder(), ignore_cleanup_errors=True) as name:
        yield Path(name)


def _folder() -> Path:
    """Return the folder of this process, which it holds locked while it lives."""
    with _making:
        key = os.getpid(), tempfile.gettempdir()
        found = _own.get(key)
        if found is None or not found.is_dir():
            _remove_abandoned()
            found = _own[key] = _locked()
        return found


def _locked() -> Path:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = try_lock(folder / _LOCK, exclusive=True)
        if lock is not None:
            atexit.register(_remove, folder, lock)
            return folder


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if not _is_ours(folder):
                continue
            lock = try_lock(folder / _LOCK, exclusive=True)
        except OSError:  # another process has just removed it
            continue
        if lock is not None:
            _remove(folder, lock)


def _is_ours(folder: Path) -> bool:
    """Whether a process of this account made it: others could plant a link as the lock's file."""
    found = folder.lstat()
    return (
        S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and found.st_mode & 0o077 == 0
        and (folder / _LOCK).is_file()
    )


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    unlock(folder / _LOCK, lock)
