"""Create and upgrade the tables of the record.

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

DONE = "The database has everything that this version needs."
POST_TITLE = "To do with --post, after all processes of older versions have stopped:"


async def migrate(database_url: str, *, post: bool = False) -> list[Migration]:
    """Apply the pending migrations and return them. Safe to repeat.

    Without `post`, processes of the previous version keep working. An empty database gets all
    migrations. Raises SchemaError for a database that this version cannot migrate.
    """
    return await apply.migrate(database_url, [LIBRARY], post=post)


async def pending(database_url: str) -> list[Migration]:
    """The pending migrations of a database; changes nothing. Raises SchemaError."""
    return await apply.pending(database_url, [LIBRARY])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Exit status: 0, 1 if --check finds pending migrations, 2 on errors."""
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
    left = await pending(database_url)
    for line in report(left):
        print(line)
    return 1 if check and left else 0


def report(left: Sequence[Migration]) -> list[str]:
    """The pending migrations as lines of text."""
    if not left:
        return ["The database is up to date."]
    now = [f"  {migration}" for migration in left if not migration.waits]
    later = [f"  {migration}" for migration in left if migration.waits]
    lines = ["To do:", *now] if now else [DONE]
    if later:
        lines += [POST_TITLE, *later]
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stepway_tracking.migrate",
        description="Create and upgrade the tables of the record.",
    )
    parser.add_argument("database_url", metavar="DATABASE_URL", help="postgresql://…")
    parser.add_argument(
        "--post",
        action="store_true",
        help="also remove objects that only older versions use; stop their processes first",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing; print pending migrations, and exit with 1 if there are any",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
