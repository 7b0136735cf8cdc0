"""Results of benches, stored as JSON; tables and plots are made from these files."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import Comparison, Target

FOLDER = Path(__file__).parent / "results"


@dataclass
class Result:
    """One run of one bench. `seconds` is its duration; `notes` are printed with the tables.

    `facts` are additional measurements by name, for docs/explanation/scale.md.
    """

    bench: str
    comparisons: list[Comparison]
    notes: list[str] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    at: str = ""
    seconds: float = 0.0
    quick: bool = False
    machine: str = ""

    @property
    def reached(self) -> bool:
        """Whether there is at least one ratio and each reaches its target."""
        return bool(self.comparisons) and all(each.reached for each in self.comparisons)


def machine() -> str:
    """A description of this machine, in one line."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def now() -> str:
    """The time in UTC, to the minute."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def save(result: Result, folder: Path) -> None:
    """Store a result; it replaces an earlier one of the same bench."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result), indent=1, ensure_ascii=False)
    (folder / f"{result.bench}.json").write_text(text + "\n")


def load(bench: str, folder: Path) -> Result | None:
    """The stored result of a bench; None if there is none."""
    file = folder / f"{bench}.json"
    return _result(json.loads(file.read_text())) if file.exists() else None


def _result(given: dict[str, Any]) -> Result:
    return Result(**{**given, "comparisons": [_comparison(each) for each in given["comparisons"]]})


def _comparison(given: dict[str, Any]) -> Comparison:
    target = given["target"] and Target(**given["target"])
    pairs = [(ours, theirs) for ours, theirs in given["pairs"]]
    return Comparison(**{**given, "target": target, "pairs": pairs})
