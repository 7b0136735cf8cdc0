"""Finds the servers that another process runs on a data folder, for operators' commands."""

from __future__ import annotations

from pathlib import Path

from stepway.embedded.ports import HOST
from stepway.embedded.postgres import NAME

_PORT_LINE = 3


def running_database(data_dir: Path) -> str:
    """The URL of the Postgres that runs on the data folder; empty if none runs."""
    try:
        lines = (data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
        password = (data_dir / "postgres.password").read_text().strip()
        return f"postgresql://{NAME}:{password}@{HOST}:{int(lines[_PORT_LINE])}/{NAME}"
    except (OSError, IndexError, ValueError):
        return ""
