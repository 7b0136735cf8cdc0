"""Runs the SQL files of migrations."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Connection

SQL = Path(__file__).parent / "sql"


def run_statements(connection: Connection, file: str) -> None:
    """Run the `CREATE FUNCTION` statements of a file in `sql/`, each of which ends with `$$;`."""
    # The driver runs one statement at a time.
    for statement in re.split(r"(?<=\$\$;)\n", (SQL / file).read_text().strip()):
        connection.exec_driver_sql(statement)
