"""The templates from Git that this machine has fetched, each at one commit.

Several workers may share the folder. An entry appears by a rename when it is complete, and locks
keep it while it is copied. Those that were used longest ago are removed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from stepway.activities.locks import try_lock, unlock
from stepway.activities.templates.fetch import Repository, fetch
from stepway_tracking.record.errors import step_error

ENTRIES = 100
BYTES = 1 << 30
_POLL = (0.05, 0.2)
_FILES, _ABOUT, _UNFINISHED = "files", "about.json", ".new"

Beat = Callable[[], None]


@dataclass(frozen=True)
class TemplateCache:
    """Keeps at most `entries` templates with `size` bytes in `folder`."""

    folder: Path
    entries: int = ENTRIES
    size: int = BYTES

    def copy(self, repository: Repository, commit: str, target: Path, beat: Beat) -> None:
        """Copy the files of a commit into the new folder `target`; fetch them first if need be.

        The caller has asked the host before whether the repository may be read. Calls `beat` about
        once a second. Raises step_error.
        """
        key = _key(repository.url, commit)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            while not self._copied(key, target, beat):
                with self._exclusive(key) as is_ours:
                    if is_ours and not self._is_complete(key):
                        self._fetch(key, repository, commit, beat)
                if not is_ours:
                    beat()
                    time.sleep(random.uniform(*_POLL))
        except OSError as error:
            raise step_error(
                f"Cannot store the template of {repository.url}: {error.strerror}",
                remedy="Ask an operator to check the data folder's permissions and free space, "
                "then retry.",
            ) from error

    def _copied(self, key: str, target: Path, beat: Beat) -> bool:
        """Copy an entry while it is locked; False if it is not there."""
        lock = self._lock(key)
        shared = try_lock(lock, exclusive=False)
        if shared is None:
            return False
        try:
            if not self._is_complete(key):
                return False
            os.utime(self.folder / key)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(
                self.folder / key / _FILES,
                target,
                symlinks=True,
                copy_function=_copier(beat),
            )
            return True
        finally:
            unlock(lock, shared)

    def _fetch(self, key: str, repository: Repository, commit: str, beat: Beat) -> None:
        self._remove_unfinished(key)
        new = self.folder / f".{key}.{uuid4().hex}{_UNFINISHED}"
        new.mkdir(mode=0o700)
        try:
            done = fetch(repository, commit, new, beat)
            about = {"url": repository.url, "commit": commit, **done}
            (new / _ABOUT).write_text(json.dumps(about))
            self._remove(key)  # one whose description is lost
            new.rename(self.folder / key)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        self._evict(key)

    def _evict(self, newest: str) -> None:
        """Remove the entries that were used longest ago until the rest fits; keep the newest."""
        found = sorted(self._found(), key=lambda one: one[1], reverse=True)
        count, size = 0, 0
        for key, _, size_of_one in [one for one in found if one[0] == newest] + [
            one for one in found if one[0] != newest
        ]:
            count, size = count + 1, size + size_of_one
            if key != newest and (count > self.entries or size > self.size):
                with self._exclusive(key) as is_ours:
                    if is_ours:  # else somebody copies it
                        self._remove(key)

    def _found(self) -> Iterator[tuple[str, float, int]]:
        """The key of each entry, when it was last used, and its bytes."""
        for entry in self.folder.iterdir():
            if entry.name.startswith("."):
                continue
            with suppress(OSError, ValueError, KeyError):
                about = json.loads((entry / _ABOUT).read_text())
                yield entry.name, entry.stat().st_mtime, int(about["bytes"])

    def _remove(self, key: str) -> None:
        # By a rename first, so that a crash leaves no half of an entry.
        gone = self.folder / f".{key}.{uuid4().hex}{_UNFINISHED}"
        with suppress(FileNotFoundError):
            (self.folder / key).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _remove_unfinished(self, ours: str) -> None:
        """Remove what workers that were killed have left; the lock of `ours` is held."""
        for left in self.folder.glob(f".*{_UNFINISHED}"):
            key = left.name[1:].partition(".")[0]
            with self._exclusive(key) as is_free:
                if is_free or key == ours:
                    shutil.rmtree(left, ignore_errors=True)

    def _is_complete(self, key: str) -> bool:
        return (self.folder / key / _ABOUT).is_file()

    @contextmanager
    def _exclusive(self, key: str) -> Iterator[bool]:
        """Hold the lock of an entry while the context is open; yield False if it is not free."""
        lock = self._lock(key)
        descriptor = try_lock(lock, exclusive=True)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                unlock(lock, descriptor)

    def _lock(self, key: str) -> Path:
        return self.folder / f".{key}.lock"


def _key(url: str, commit: str) -> str:
    return f"{sha256(url.encode()).hexdigest()[:20]}-{commit}"


def _copier(beat: Beat) -> Callable[[str, str], None]:
    last = time.monotonic()

    def copy(source: str, target: str) -> None:
        nonlocal last
        if time.monotonic() - last > 1:
            beat()
            last = time.monotonic()
        shutil.copy2(source, target, follow_symlinks=False)

    return copy
