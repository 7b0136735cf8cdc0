"""The fenced code blocks of the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S
)
_HEADING = re.compile(r"^#+ (.*)$", re.M)
_FILE = re.compile(r"# (?P<name>[\w./-]+\.(?:py|yaml))\n")


@dataclass(frozen=True)
class Block:
    """One block. `name` is `PAGE: HEADING`, with a number if the heading has several blocks."""

    name: str
    language: str
    code: str

    @property
    def file(self) -> str | None:
        """The file name in the block's first line, as `# acme_steps.py`."""
        found = _FILE.match(self.code)
        return found["name"] if found else None


def pages() -> list[Path]:
    """The pages with blocks. README.zh.md is compared with README.md instead."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if blocks(page)]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text()
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        headings = _HEADING.findall(_FENCE.sub("", text[: match.start()]))
        place = f"{page.relative_to(ROOT)}: {headings[-1] if headings else 'start'}"
        same = sum(block.name.split(" #")[0] == place for block in found)
        name = f"{place} #{same + 1}" if same else place
        found.append(Block(name, match["language"], dedent(match["code"])))
    return found
