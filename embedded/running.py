"""The servers that another process runs on a data folder, for an operator's commands."""

from __future__ import annotations

from pathlib import Path

from stepway.embedded.ports import HOST
from stepway.embedded.postgres import NAME

_PORT_LINE = 3


def running_database(data_dir: Path) -> str:
    """The URL of the Postgres that runs on the data folder; empty where none does."""
    try:
        said = (data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
        password = (data_dir / "postgres.password").read_text().strip()
        return f"postgresql://{NAME}:{password}@{HOST}:{int(said[_PORT_LINE])}/{NAME}"
    except (OSError, IndexError, ValueError):
        return ""
