"""`scripts/bench [NAME…]`: run benches, store their results and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import resource
import signal
import sys
import time
from pathlib import Path

from benchmarks import results
from benchmarks.idle import wait_until_idle
from benchmarks.report import summary, write_page
from benchmarks.results import Result
from benchmarks.scale import write_scale
from benchmarks.stage import on_stage

BENCHES = (
    "overhead",
    "embedded",
    "update-latency",
    "peers-latency",
    "peers-run",
    "fan-out",
    "memory",
    "growth",
    "write",
    "snapshot",
    "redaction",
    "storm",
    "recovery",
    "page",
    "waiting",
    "logs",
    "logs-page",
    "scale",
)
DOCS = Path(__file__).parent.parent / "docs"
LONGEST = 900.0
"""Maximum duration of a bench, in seconds."""


async def run_bench(name: str, quick: bool) -> Result:
    """Run one bench on its own servers."""
    module = importlib.import_module(f"benchmarks.benches.{name.replace('-', '_')}")
    print(f"{name} …", file=sys.stderr, flush=True)
    began = time.monotonic()
    async with asyncio.timeout(LONGEST), on_stage(quick) as stage:
        stage.notes.extend(wait_until_idle(quick))
        comparisons = await module.run(stage)
    return Result(
        name,
        comparisons,
        notes=stage.notes,
        facts=stage.facts,
        at=results.now(),
        seconds=round(time.monotonic() - began, 1),
        quick=quick,
        machine=results.machine(),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the named benches, or all. Exit status 0 only if each ratio reaches its target."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--quick", action="store_true", help="a smoke run: small and once")
    parser.add_argument("--results", type=Path, default=results.FOLDER, help="a folder for JSON")
    parser.add_argument("--page", type=Path, help="the page to write; none with --quick")
    given = parser.parse_args(arguments)
    names = given.names or list(BENCHES)
    if unknown := sorted(set(names) - set(BENCHES)):
        parser.error(f"no bench {unknown[0]}; there are {', '.join(BENCHES)}")
    return _run_all(names, given.quick, given.results, given.page)


def _run_all(names: list[str], quick: bool, folder: Path, page: Path | None) -> int:
    logging.basicConfig(level=logging.ERROR)
    # Handle it like Ctrl-C, which stops all processes and removes their folder.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    _allow_many_files()
    found, failed = [], []
    for name in names:
        try:
            result = asyncio.run(run_bench(name, quick))
        except Exception as error:  # noqa: BLE001 - the other benches still run
            failed.append(f"{name}: failed: {type(error).__name__}: {error}")
            print(f"  {failed[-1]}", file=sys.stderr, flush=True)
            continue
        results.save(result, folder)
        print(summary(result), file=sys.stderr, flush=True)
        found.append(result)
    if page or not quick:
        latest = [one for name in BENCHES if (one := results.load(name, folder)) is not None]
        write_page(latest, page or DOCS / "benchmarks.md")
        scale = page.with_name("scale.md") if page else DOCS / "explanation" / "scale.md"
        write_scale(latest, scale)
    for result in found:
        print(summary(result))
    for line in failed:
        print(line)
    return 0 if not failed and all(result.reached for result in found) else 1


def _allow_many_files() -> None:
    """Raise the limit of open files, one for each end of a stream; child processes inherit it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
