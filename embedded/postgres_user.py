"""The system user that runs Postgres if Stepway runs as root: Postgres refuses to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stepway.runtime.errors import ServerError

if sys.platform != "win32":
    import pwd

NAME = "stepway-postgres"


def choose_user(cluster: Path) -> str | None:
    """The user to run Postgres as; None for the current user.

    For root it is the owner of the cluster, or else the user NAME, which is created. Raises
    ServerError if the cluster belongs to another user or the user cannot be created.
    """
    if sys.platform == "win32":
        return None
    if os.geteuid() != 0:
        _require_own(cluster)
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        return cluster.owner()
    return _ensure_user()


def allow_execution(folder: Path) -> None:
    """Let all users run the programs in `folder`, which a strict umask may have denied."""
    if folder.stat().st_mode & 0o005 != 0o005:
        for path in (folder, *folder.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
    allow_traversal(folder)


def allow_traversal(path: Path) -> None:
    """Let other users traverse the parent folders of `path`, without listing them."""
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
