"""A short run of the fault harness; scripts/faults is the long one."""

from __future__ import annotations

from tests.faults.__main__ import run

SEED = 20261
ROUNDS = 2


async def test_no_watcher_loses_anything_whatever_breaks() -> None:
    summary = await run(ROUNDS, SEED, kills=1)
    assert summary.violations == []
    assert summary.versions > 0
    assert len(summary.recoveries) == 1
    assert sum(summary.faults.values()) >= 20
