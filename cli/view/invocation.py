"""How the person's shell calls Stepway: for commands that are printed to be run."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "stepway"


def command(*arguments: str, folder: Path | None = None) -> str:
    """`stepway ARGUMENTS`, with the program's path where the shell does not find this one.

    The path is relative to `folder`, the current one by default, where it leads down from there.
    """
    return shlex.join([*_program(folder or Path.cwd()), *arguments])


def _program(folder: Path) -> list[str]:
    ending = ".exe" if sys.platform == "win32" else ""
    program = Path(sys.executable).with_name(NAME + ending)
    if not program.exists():
        return [sys.executable, "-m", NAME]
    found = shutil.which(NAME)
    if found and Path(found).resolve() == program.resolve():
        return [NAME]
    if program.is_relative_to(folder):
        return [str(program.relative_to(folder))]
    return [str(program)]
