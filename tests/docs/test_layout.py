"""The files, folders and documents that CONTRIBUTING names exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
LAYOUT = PAGE[PAGE.index("## Layout") : PAGE.index("## How we write")]
# `model/` and the like are inside the folder of their row.
PATHS = sorted({path for path in re.findall(r"`(\w[\w./-]+)`", LAYOUT) if "/" in path[:-1]})


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_the_layout_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("row", re.findall(r"^\| `(\w+)/` \| (.*) \|$", LAYOUT, re.M))
def test_a_room_is_in_its_folder(row: tuple[str, str]) -> None:
    folder, text = row
    places = [ROOT / folder, ROOT / folder / "stepway_tracking"]
    for room in re.findall(r"`(\w+)/`", text):
        assert any((place / room).is_dir() for place in places), room


def test_every_script_is_described() -> None:
    named = set(re.findall(r"`scripts/([\w-]+)", PAGE))
    scripts = {
        file.name
        for file in (ROOT / "scripts").iterdir()
        if file.is_file() and not file.suffix and file.stat().st_mode & 0o100
    }
    assert scripts - {"audit-report"} == named
