"""Bounds what a template renders: the worker reads all of it. A small template can render a lot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bounds:
    """The most that a template may render: bytes of one file, bytes and number of all files."""

    file: int = 50 << 20
    bytes: int = 100 << 20
    files: int = 50_000

    def __str__(self) -> str:
        return (
            f"{self.bytes >> 20} MB, a file of {self.file >> 20} MB, or {self.files:,} files and "
            "folders"
        )


class TooMuch(Exception):
    """A template renders more than the bounds allow; the text says how much that is."""


class Rendered:
    """Counts files, links and folders, and their bytes."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._bytes = 0
        self._files = 0

    def add(self, size: int) -> None:
        """Count one of them. Raises TooMuch."""
        self._files += 1
        self._bytes += size
        bounds = self._bounds
        if self._files > bounds.files or self._bytes > bounds.bytes or size > bounds.file:
            raise TooMuch(f"it renders more than {bounds}")


def check_size(folder: Path, bounds: Bounds) -> None:
    """Raise TooMuch if a folder has more than the bounds allow. Follows no links.

    A folder that does not exist has nothing.
    """
    rendered = Rendered(bounds)
    for size in _sizes(folder) if folder.exists() else ():
        rendered.add(size)


def _sizes(folder: Path) -> Iterator[int]:
    left = [str(folder)]
    while left:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                    yield 0
                else:
                    yield entry.stat(follow_symlinks=False).st_size
