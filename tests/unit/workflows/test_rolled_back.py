"""The outcome of a rollback in numbers and in words."""

from __future__ import annotations

import pytest

from stepway.workflows.engine.ending import RolledBack


@pytest.mark.parametrize(
    ("outcome", "rolled_back", "text"),
    [
        (RolledBack(3, 0, 0, []), 3, None),
        (RolledBack(0, 0, 0, []), 0, None),
        (RolledBack(5, 0, 4, []), 1, "1 of 5 steps rolled back, 4 have no rollback."),
        (RolledBack(2, 0, 1, []), 1, "1 of 2 steps rolled back, 1 has no rollback."),
        (RolledBack(2, 1, 0, []), 1, "1 of 2 steps rolled back, 1 could not be."),
        (RolledBack(1, 1, 0, ["x"]), 0, "0 of 1 step rolled back, 1 could not be.\nx"),
        (
            RolledBack(6, 2, 3, ["x", "y"]),
            1,
            "1 of 6 steps rolled back, 2 could not be, 3 have no rollback.\nx\ny",
        ),
        (RolledBack(2, 0, 0, ["x had failed"]), 2, "2 of 2 steps rolled back.\nx had failed"),
    ],
)
def test_outcome_of_a_rollback(outcome: RolledBack, rolled_back: int, text: str | None) -> None:
    assert outcome.text == text
    assert outcome.counts == {
        "steps": outcome.steps,
        "rolled_back": rolled_back,
        "failed": outcome.failed,
        "without": outcome.without,
    }
