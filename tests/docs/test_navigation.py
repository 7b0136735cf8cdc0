"""The site's navigation contains every page."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"


def test_every_page_is_in_the_navigation() -> None:
    navigation = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    written = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    # The example is reached from its guide.
    assert written - {"examples/tracking/README.md"} == set(pages_of(navigation))


def pages_of(entries: list[Any]) -> Iterator[str]:
    """The pages of navigation entries: `page`, `{title: page}` or `{title: [...]}`."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        for target in entry.values():
            yield from pages_of(target if isinstance(target, list) else [target])
