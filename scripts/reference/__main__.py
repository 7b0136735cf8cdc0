"""Fill the reference pages that are generated: `python -m scripts.reference FOLDER`.

FOLDER is a copy of docs/. Each generated page holds the line `<!-- generated -->`, which the
generated text replaces.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from scripts.reference.blueprints import blueprint_fields
from scripts.reference.cli import commands
from scripts.reference.http import http_api
from scripts.reference.settings import settings

MARK = "<!-- generated -->"

PAGES: dict[str, Callable[[], str]] = {
    "blueprints.md": blueprint_fields,
    "cli.md": commands,
    "http.md": http_api,
    "settings.md": settings,
}


def fill(folder: Path) -> None:
    """Replace the mark in each generated page. Raises ValueError for a page without one."""
    for name, generate in PAGES.items():
        page = folder / "reference" / name
        text = page.read_text()
        if MARK not in text:
            raise ValueError(f"{page} has no line {MARK}")
        page.write_text(text.replace(MARK, generate().strip()))


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
