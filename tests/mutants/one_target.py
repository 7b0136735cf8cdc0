"""The process that mutates one target: `python -m tests.mutants.one_target < ORDER > RESULTS`.

ORDER is a pickled `Order`, RESULTS a pickled `Answer`.
"""

from __future__ import annotations

import os
import pickle
import random
import sys
from collections import defaultdict
from collections.abc import Sequence

import pytest

from tests.mutants.forked import Forked
from tests.mutants.mutant import Mutant
from tests.mutants.orders import Answer, Order, Row


def main() -> None:
    """Read the order, run, write the answer."""
    order: Order = pickle.load(sys.stdin.buffer)
    answering = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    target = order.target
    mutants = list(target.mutants())
    known = {mutant.key for mutant in mutants}
    outdated = [] if target.lines else sorted(order.no_faults - known)
    faults = [mutant for mutant in mutants if mutant.key not in order.no_faults]
    chosen = sample(faults, order.most)
    forked = Forked(chosen, order.servers, order.patience)
    quiet = ["-p", "no:cacheprovider", "-q", "-rN", "-s", "--hypothesis-seed=0"]
    status = pytest.main([*quiet, *map(str, target.tests)], plugins=[forked])
    if chosen and not forked.results:
        raise SystemExit(f"no test of {target.name} could be run: pytest ended with {status!r}")
    rows = [
        Row(r.mutant.line, r.mutant.function, r.mutant.was, r.mutant.becomes, r.verdict)
        for r in forked.results
    ]
    pickle.dump(Answer(rows, forked.unfit, outdated), answering)


def sample(mutants: Sequence[Mutant], most: int) -> list[Mutant]:
    """At most so many mutants, of each function in turn; always the same ones."""
    by_function = defaultdict(list)
    for mutant in mutants:
        by_function[mutant.function].append(mutant)
    chance = random.Random(0)
    for of_function in by_function.values():
        chance.shuffle(of_function)
    chosen: list[Mutant] = []
    while len(chosen) < min(most, len(mutants)):
        for of_function in by_function.values():
            if of_function and len(chosen) < most:
                chosen.append(of_function.pop())
    places = {id(mutant): place for place, mutant in enumerate(mutants)}
    return sorted(chosen, key=lambda mutant: places[id(mutant)])


if __name__ == "__main__":
    main()
