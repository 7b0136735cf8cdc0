"""Which tier each test belongs to, by its place.

Each tier has the requirements of the tiers before it and more. scripts/test calls this:

    python tests/tiers.py [ARGUMENT…]              the tier that pytest with these arguments needs
    python tests/tiers.py --places TIER [ARGUMENT…]   where pytest finds the tests of a tier, a line
                                                   each; nothing where the arguments name places
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

TIERS = {
    "unit": "needs Python only",
    "servers": "needs Postgres, Valkey and Temporal, which it starts",
    "browser": "also needs the built page, Node or Chromium",
}

PLACES = {
    "acceptance": "servers",
    "docs": "servers",
    "docs/test_demo.py": "browser",
    "docs/test_layout.py": "unit",
    "docs/test_navigation.py": "unit",
    "e2e": "browser",
    "faults": "servers",
    "faults/test_faults.py": "browser",
    "fold": "servers",
    "fold/test_fold.py": "unit",
    "mutants": "unit",
    "integration": "servers",
    "integration/reading/test_built_page.py": "browser",
    "integration/reading/test_first_paint.py": "browser",
    "integration/scripts/test_bench_smoke.py": "browser",
    "packaging": "servers",
    "packaging/test_server_wheel.py": "browser",
    "replay": "unit",
    "security": "servers",
    "security/test_first_paint.py": "browser",
    "unit": "unit",
}
"""The tier of each folder and, where it differs, of a file in it."""

TESTS = Path(__file__).parent


def tier_of(test: Path) -> str:
    """The tier of a test file. Raises LookupError for a folder that has none."""
    place = PurePosixPath(test.resolve().relative_to(TESTS))
    for known in (place, *place.parents):
        if str(known) in PLACES:
            return PLACES[str(known)]
    raise LookupError(f"tests/{place} has no tier: name its folder in tests/tiers.py")


def tier_for(arguments: Iterable[str]) -> str:
    """The highest tier of the files and folders among pytest's arguments; without any, of all."""
    order = list(TIERS)
    files = [file for path in named(arguments) for file in files_in(path)]
    return max(map(tier_of, files), key=order.index) if files else order[-1]


def places_of(tier: str) -> list[str]:
    """The files and folders that hold tests of a tier."""
    return [f"tests/{place}" for place, of in PLACES.items() if of == tier]


def named(arguments: Iterable[str]) -> list[Path]:
    """The files and folders among pytest's arguments."""
    paths = (Path(argument.partition("::")[0]) for argument in arguments)
    return [path for path in paths if path.exists()]


def files_in(path: Path) -> list[Path]:
    """The test files at a path."""
    return sorted(path.rglob("test_*.py")) if path.is_dir() else [path]


def main(arguments: Sequence[str]) -> None:
    """Print the answer that the module's text describes."""
    if arguments[:1] == ["--places"]:
        for place in places_of(arguments[1]) if not named(arguments[2:]) else []:
            print(place)
    else:
        print(tier_for(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
