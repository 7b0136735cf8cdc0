"""The system user for Postgres where we are root: Postgres refuses to run as root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stepway.runtime.errors import ServerError

if sys.platform != "win32":
    import pwd

NAME = "stepway-postgres"


def choose(cluster: Path) -> str | None:
    """The user to run as: None unless we are root, then the cluster's owner, else one of our own.

    Raises ServerError when the cluster belongs to somebody else, or no user can be made.
    """
    if sys.platform == "win32":
        return None
    if os.geteuid() != 0:
        _require_own(cluster)
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        return cluster.owner()
    return _ensure_user()


def let_in(folder: Path) -> None:
    """Make the programs in `folder` readable for all, where a strict umask kept them for us."""
    if folder.stat().st_mode & 0o005 != 0o005:
        for path in (folder, *folder.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
    let_through(folder)


def let_through(path: Path) -> None:
    """Let other users pass, not look, through the folders above `path`."""
    for folder in path.absolute().parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _require_own(cluster: Path) -> None:
    if cluster.exists() and cluster.stat().st_uid != os.geteuid():
        raise ServerError(
            f"Postgres: {cluster} belongs to the user {cluster.owner()}; "
            "run as that user, or set another STEPWAY_DATA_DIR"
        )


def _ensure_user() -> str:
    try:
        pwd.getpwnam(NAME)
    except KeyError:
        _add_user()
    return NAME


def _add_user() -> None:
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell=/bin/false",
        NAME,
    ]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        reason = "useradd is missing"
    else:
        reason = made.stderr.strip()
        if made.returncode == 0:
            return
    raise ServerError(
        f"Postgres does not run as root, and the user {NAME} cannot be created: {reason}; "
        "run as a regular user"
    )
