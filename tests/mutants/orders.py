"""The order to the process that mutates one target, and its answer."""

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
    """The result of one mutant."""

    line: int
    function: str
    was: str
    becomes: str
    verdict: str


@dataclass(frozen=True)
class Answer:
    """The results of all mutants; the tests that were left out because they fail without a mutant;
    and the entries of the order's `no_faults` that match no mutant.
    """

    rows: list[Row]
    unfit: list[str]
    outdated: list[Key]
