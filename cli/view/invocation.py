"""Formats commands that people can copy into their shell."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "stepway"


def command(*arguments: str, folder: Path | None = None) -> str:
    """Return `stepway ARGUMENTS`; with the program's path if PATH does not lead to this program.

    The path is relative if the program lies below `folder`, by default the current one.
    """
    return shlex.join([*_program(folder or Path.cwd()), *arguments])


def _program(folder: Path) -> list[str]:
    program = Path(sys.executable).with_name(NAME)
    if not program.exists():
        return [sys.executable, "-m", NAME]
    found = shutil.which(NAME)
    if found and Path(found).resolve() == program.resolve():
        return [NAME]
    if program.is_relative_to(folder):
        return [str(program.relative_to(folder))]
    return [str(program)]
