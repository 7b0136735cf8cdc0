"""Check a built site: `python -m scripts.reference.links SITE`.

The site's generator checks links between Markdown pages only. This checks the built pages: the file
of each relative link, picture, script and style must exist, and the element of each fragment.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The addresses in a page, and the ids and names of its elements."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.names: set[str] = set()
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect `href`, `src`, `id` and `name`."""
        for name, value in attrs:
            if name in ("href", "src") and value and tag != "base":
                self.addresses.append(value)
            elif name in ("id", "name") and value:
                self.names.add(value)


def broken(site: Path) -> list[str]:
    """Broken links, a line each: `PAGE: ADDRESS`."""
    # The error page is served at any address; its links are absolute.
    pages = {file: Page(file) for file in site.rglob("*.html") if file.name != "404.html"}
    return [
        f"{file.relative_to(site)}: {address}"
        for file, page in sorted(pages.items())
        for address in page.addresses
        if not _leads_somewhere(file, address, pages)
    ]


def _leads_somewhere(file: Path, address: str, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return True
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return False
    named = not parts.fragment or target not in pages
    return named or unquote(parts.fragment) in pages[target].names


if __name__ == "__main__":
    found = broken(Path(sys.argv[1]).resolve())
    for line in found:
        print(f"broken link: {line}", file=sys.stderr)
    sys.exit(1 if found else 0)
