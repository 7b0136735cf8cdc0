"""What the process that mutates one target is told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from stepway.runtime.settings import Settings
from tests.mutants.mutant import Key
from tests.mutants.targets import Target


@dataclass(frozen=True)
class Order:
    """Mutate a target on these servers, with `most` mutants and without those of `no_faults`.

    `patience`: seconds that a test has in any case before a mutant counts as stuck.
    """

    target: Target
    most: int
    no_faults: frozenset[Key]
    servers: Settings
    patience: float = 10.0


@dataclass(frozen=True)
class Row:
    """What became of one mutant."""

    line: int
    function: str
    was: str
    becomes: str
    verdict: str


@dataclass(frozen=True)
class Answer:
    """What became of all; the tests that fail without a mutant and were left out; and those of the
    order's `no_faults` that are no mutants any more.
    """

    rows: list[Row]
    unfit: list[str]
    outdated: list[Key]
