"""`python -m tests.mutants`: mutate, and report what the tests did not notice."""

from __future__ import annotations

import argparse
import asyncio
import pickle
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from stepway.embedded.process import ends_with_parent
from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from tests.mutants.judged import as_toml, judged
from tests.mutants.orders import Answer, Order
from tests.mutants.targets import ROOT, Target, targets

ENOUGH = 95
"""Per cent of a module's mutants that the tests must notice."""


def main() -> int:
    """Run; return 1 if a module's tests notice too little, or cannot be relied on."""
    parser = argparse.ArgumentParser(
        prog="scripts/mutants", description="Mutate modules, and see whether their tests notice."
    )
    parser.add_argument(
        "modules", metavar="MODULE", nargs="*", help="a part of a file's path, maybe with :LINE"
    )
    parser.add_argument(
        "--most", type=int, default=10_000, metavar="N", help="mutants of a module (default: all)"
    )
    parser.add_argument(
        "--toml", action="store_true", help="print survivors as entries of judged.toml"
    )
    parser.add_argument("--list", action="store_true", help="list the modules and their mutants")
    given = parser.parse_args()
    chosen = targets(given.modules)
    if not chosen:
        parser.error(f"no module is called {' or '.join(given.modules)}")
    if given.list:
        for target in chosen:
            print(f"{target.name}: {len(list(target.mutants()))} mutants")
        return 0
    return asyncio.run(run(chosen, given.most, given.toml))


async def run(chosen: list[Target], most: int, toml: bool) -> int:
    """Mutate the targets one after another on one set of servers."""
    good = True
    with TemporaryDirectory(prefix="stepway-", ignore_cleanup_errors=True) as folder:
        async with EmbeddedServers(Settings(data_dir=Path(folder) / "data")) as servers:
            await upgrade_database(servers.sqlalchemy_url)
            await hasten(servers)
            for target in chosen:
                answer = await ask(Order(target, most, judged(target.name), servers))
                print(report(target, answer, toml), flush=True)
                whole = not answer.unfit and not answer.outdated
                good = good and whole and score(answer) >= ENOUGH
    return 0 if good else 1


async def hasten(servers: Settings) -> None:
    """Let Postgres write nothing to the disk before it answers: here it never loses power."""
    connection = await asyncpg.connect(servers.database_url)
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        await connection.execute(f"ALTER SYSTEM SET {name} = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def ask(order: Order) -> Answer:
    """Run one target in a new process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.mutants.one_target"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=ends_with_parent(signal.SIGKILL),
    )
    out, _ = await process.communicate(pickle.dumps(order))
    if process.returncode:
        raise SystemExit(f"mutating {order.target.name} ended with status {process.returncode}")
    answer: Answer = pickle.loads(out)
    return answer


def count(answer: Answer, verdict: str) -> int:
    """How many mutants ended so."""
    return sum(row.verdict == verdict for row in answer.rows)


def score(answer: Answer) -> float:
    """The share of mutants that were noticed, in per cent; 100 without mutants."""
    noticed = count(answer, "killed") + count(answer, "timed out")
    return 100 * noticed / max(1, noticed + count(answer, "survived")) if answer.rows else 100.0


def report(target: Target, answer: Answer, toml: bool) -> str:
    """The survivors, and one line with the counts and the score."""
    lines = [f"{test} fails without a mutant and was left out" for test in answer.unfit]
    lines += [f"judged.toml has {key}, and there is no such mutant" for key in answer.outdated]
    for row in answer.rows:
        if row.verdict == "survived" and toml:
            lines.append(as_toml(target.name, row.function, row.was, row.becomes))
        elif row.verdict == "survived":
            lines.append(f"{target.name}:{row.line} in {row.function}")
            lines += [f"  - {line}" for line in row.was.splitlines()]
            lines += [f"  + {line}" for line in row.becomes.splitlines()]
    counts = ", ".join(
        f"{count(answer, verdict)} {verdict}"
        for verdict in ("killed", "survived", "timed out", "unusable")
    )
    lines.append(f"{target.name}: {counts}; {score(answer):.0f} % noticed")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
