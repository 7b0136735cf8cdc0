"""Make and upgrade the tables of the record.

python -m stepway_tracking.migrate postgresql://user@host/database [--post] [--check]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

import asyncpg

from stepway_tracking.migrations import apply
from stepway_tracking.migrations.apply import Migration
from stepway_tracking.migrations.history import LIBRARY
from stepway_tracking.postgres import UNREACHABLE
from stepway_tracking.record.errors import SchemaError

WAITS = "To do when no process of an older version runs any more, with --post:"


async def migrate(database_url: str, *, post: bool = False) -> list[Migration]:
    """Apply the migrations that a database lacks, and return them; safe to repeat.

    Without `post`, processes of the version before go on working; an empty database gets
    everything. Raises SchemaError for a database that this version cannot migrate.
    """
    return await apply.migrate(database_url, [LIBRARY], post=post)


async def waiting(database_url: str) -> list[Migration]:
    """The migrations that a database lacks; changes nothing. Raises SchemaError."""
    return await apply.waiting(database_url, [LIBRARY])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0, 1 where --check finds something to do, 2 on errors."""
    given = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(given.database_url, post=given.post, check=given.check))
    except (SchemaError, ValueError) as error:
        reason = str(error)
    except (asyncpg.PostgresError, *UNREACHABLE) as error:
        reason = f"the database cannot be used: {error}"
    print(f"error: {reason}", file=sys.stderr)
    return 2


async def _run(database_url: str, *, post: bool, check: bool) -> int:
    if not check:
        for migration in await migrate(database_url, post=post):
            print(f"applied {migration}")
    left = await waiting(database_url)
    for line in report(left):
        print(line)
    return 1 if check and left else 0


def report(left: Sequence[Migration]) -> list[str]:
    """What is to be done, a line each, for people."""
    if not left:
        return ["The database is up to date."]
    lines = []
    for title, kind in (("To do:", "pre"), (WAITS, "post")):
        found = [f"  {migration}" for migration in left if migration.kind == kind]
        lines += [title, *found] if found else []
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stepway_tracking.migrate",
        description="Make and upgrade the tables of the record.",
    )
    parser.add_argument("database_url", metavar="DATABASE_URL", help="postgresql://…")
    parser.add_argument(
        "--post",
        action="store_true",
        help="also remove what only older versions need; stop their processes first",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing; print what is to be done, and exit with 1 if anything is",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
