"""Mutants that people judged: they change nothing that a test should notice."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import Key

FILE = Path(__file__).with_name("judged.toml")


@dataclass(frozen=True)
class Judged:
    """A mutant by its file, function and texts, and why it is no fault."""

    file: str
    function: str
    was: str
    becomes: str
    why: str

    @property
    def key(self) -> Key:
        """As `Mutant.key`."""
        return self.function, self.was, self.becomes


def judged(file: str) -> frozenset[Key]:
    """The keys of the judged mutants of a file. Raises ValueError for one without a reason."""
    all_of_them = [Judged(**each) for each in tomllib.loads(FILE.read_text())["judged"]]
    for each in all_of_them:
        if not each.why.strip():
            raise ValueError(f"{FILE.name} gives no reason for {each}")
    return frozenset(each.key for each in all_of_them if each.file == file)


def as_toml(file: str, function: str, was: str, becomes: str) -> str:
    """The entry for a mutant, without its reason."""
    return (
        f'[[judged]]\nfile = "{file}"\nfunction = "{function}"\n'
        f"was = '''{was}'''\nbecomes = '''{becomes}'''\nwhy = \"\""
    )
