"""Installs the peers' pinned packages under .tools; they are not in the project's lock file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = HERE.parent.parent / ".tools" / "peers"
PATIENCE = 300.0

Note = Callable[[str], None]


def python_peer(name: str, note: Note) -> Path | None:
    """The Python of a peer's environment; None, with a note, if its installation fails."""
    try:
        return _python(name)
    except (OSError, subprocess.SubprocessError) as error:
        note(f"No comparison with {name}: its installation failed: {_reason(error)}")
        return None


def node_peer(note: Note) -> Path | None:
    """The folder of the Node peer; None, with a note, if its installation fails."""
    try:
        return _node()
    except (OSError, subprocess.SubprocessError) as error:
        note(f"No comparison with the Node peer: its installation failed: {_reason(error)}")
        return None


@cache
def _python(name: str) -> Path:
    wanted = HERE / "python" / f"{name}.txt"
    folder = TOOLS / name
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted.read_text():
        uv = os.environ.get("UV") or shutil.which("uv") or "uv"
        _run([uv, "venv", "--quiet", "--clear", str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(wanted)])
        shutil.copy(wanted, installed)
    return python


@cache
def _node() -> Path:
    folder = TOOLS / "node"
    source = HERE / "node"
    lock = folder / "node_modules" / ".package-lock.json"
    for file in source.glob("*.*"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)
    if not lock.exists() or lock.stat().st_mtime < (source / "package-lock.json").stat().st_mtime:
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError("npm is missing")
        _run([npm, "ci", "--prefix", str(folder), "--ignore-scripts", "--loglevel=error"])
    return folder


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)


def _reason(error: Exception) -> str:
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return " ".join(str(text).split())[-300:]
