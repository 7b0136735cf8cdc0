"""Hatch's build hook: adds the checkout's folders, the page and the library to the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = (
    "activities",
    "api",
    "blueprints",
    "cli",
    "clusters",
    "embedded",
    "hosts",
    "migrations",
    "net",
    "runtime",
    "vault",
    "workflows",
)


class WheelContents(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the contents of the wheel. An editable install uses the links in `stepway/` instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files. Raises RuntimeError if the page is not built."""
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / "web" / "dist" / "first-paint" / "en.html").is_file():
            raise RuntimeError(
                "the web page is not built, and the wheel must contain it: run scripts/web-build, "
                "then build again"
            )
        included = {str(root / folder): f"stepway/{folder}" for folder in FOLDERS}
        included[str(root / "worker.py")] = "stepway/worker.py"
        included[str(root / "web" / "dist")] = "stepway/page"
        library = root / "tracking" / "stepway_tracking"
        included[str(library)] = "stepway/_bundled/stepway_tracking"
        build_data["force_include"].update(included)
