"""Files that steps leave in a folder for temporary ones."""

from __future__ import annotations

from pathlib import Path


def left_by_steps(temporary: Path) -> list[Path]:
    """Return what is there but for the folder of this process, which is removed when it ends."""
    return [path for path in temporary.glob("*/*") if path.name != ".lock"]
