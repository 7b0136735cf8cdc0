"""Generate the reference pages: `python -m scripts.reference FOLDER`.

FOLDER is a copy of docs/. Each page has a note for readers of the repository between two marks; the
generated text replaces it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from scripts.reference.blueprints import blueprint_fields
from scripts.reference.cli import commands
from scripts.reference.git_hosts import features
from scripts.reference.http import http_api
from scripts.reference.settings import settings
from scripts.reference.steps import built_in_steps

BEGIN, END = "<!-- generated -->", "<!-- end of generated -->"

PAGES: dict[str, Callable[[], str]] = {
    "blueprints.md": blueprint_fields,
    "cli.md": commands,
    "git-hosts.md": features,
    "http.md": http_api,
    "settings.md": settings,
    "steps.md": built_in_steps,
}


def fill(folder: Path) -> None:
    """Replace the text between the marks. Raises ValueError for a page without marks."""
    for name, generate in PAGES.items():
        page = folder / "reference" / name
        before, begin, rest = page.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (begin and end):
            raise ValueError(f"{page} has no marks for the generated text")
        page.write_text(before + generate().strip() + after)


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
