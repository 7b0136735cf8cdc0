"""`scripts/faults`: the long run."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from pathlib import Path

from tests.faults.injections import OUTAGE
from tests.faults.recovery import recoveries
from tests.faults.report import write_report
from tests.faults.running import running_rounds
from tests.faults.summary import Summary

KILLS = 10
"""Number of measured recoveries."""

OUTAGES = (OUTAGE, 2 * OUTAGE, 150.0)
"""Times in seconds that Postgres may be gone."""


async def run(rounds: int, seed: int, keep: Path | None) -> Summary:
    """Run the rounds on a cluster, then measure the recoveries."""
    async with running_rounds(seed, keep, OUTAGES) as (cluster, driver):
        await driver.run(rounds)
        driver.summary.recoveries = await recoveries(cluster, KILLS)
        await driver.search_secrets()
        return driver.summary


def main() -> int:
    """Run as the arguments say; return 0 if nothing was lost and all recoveries were in time."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument(
        "--report", action="store_true", help="write docs/explanation/reliability.md's figures"
    )
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    parser.add_argument("--keep", type=Path, help="folder for the record of what went wrong")
    given = parser.parse_args()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    print(f"seed {given.seed}", flush=True)
    summary = asyncio.run(run(given.rounds, given.seed, given.keep))
    if given.json:
        given.json.write_text(json.dumps(vars(summary), indent=2))
    if given.report:
        write_report(summary)
    print(summary.line())
    return 1 if summary.violations or summary.is_slow else 0


if __name__ == "__main__":
    sys.exit(main())
