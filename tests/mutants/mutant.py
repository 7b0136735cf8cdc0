"""A mutant: one small change of the code."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Key = tuple[str, str, str]
"""A mutant's function, and its text before and after the change."""


class Unusable(Exception):
    """The mutant cannot be put into the running process; it does not count."""


@dataclass(frozen=True)
class Mutant:
    """A change in `function` of `file` at `line`: the text `was` became `becomes`.

    `apply` puts it in force in this process, or is the statement that does in a database. Raises
    Unusable.
    """

    file: Path
    line: int
    function: str
    was: str
    becomes: str
    apply: Callable[[], None] | str

    @property
    def key(self) -> Key:
        """Names the mutant also after other lines have moved it."""
        return self.function, self.was, self.becomes


def difference(before: str, after: str) -> tuple[str, str]:
    """Return the lines that differ in two texts, with single spaces."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0))[2:]
    parts = {
        sign: [" ".join(line[1:].split()) for line in lines if line.startswith(sign)]
        for sign in "-+"
    }
    return "\n".join(parts["-"]), "\n".join(parts["+"])
