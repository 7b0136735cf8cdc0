"""`scripts/faults`: the long run."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.cluster import Cluster
from tests.faults.recovery import recoveries
from tests.faults.report import write_report
from tests.faults.rounds import Rounds, Summary, write_faulty_blueprint


async def run(rounds: int, seed: int, kills: int) -> Summary:
    """Rounds on a cluster of their own, which is gone afterwards."""
    with TemporaryDirectory(prefix="stepway-faults-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        # Postgres runs as another user where this is root, and has to pass through.
        await asyncio.to_thread(place.chmod, 0o711)
        write_faulty_blueprint(place)
        cluster = Cluster(place)
        try:
            await cluster.start()
            driver = Rounds(cluster, seed)
            await driver.start()
            try:
                await driver.run(rounds)
                driver.summary.recoveries = await recoveries(cluster, times=kills)
                return driver.summary
            finally:
                await driver.stop()
        finally:
            await cluster.stop()


def main() -> int:
    """Run as the arguments say; 0 only if nothing was lost."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=180)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--report", action="store_true", help="write docs/reliability.md's tables")
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    summary = asyncio.run(run(given.rounds, given.seed, kills=10))
    if given.json:
        given.json.write_text(json.dumps(asdict(summary), indent=2))
    if given.report:
        write_report(summary)
    print(summary.line())
    return 1 if summary.violations else 0


if __name__ == "__main__":
    sys.exit(main())
