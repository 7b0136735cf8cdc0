"""What a bench found, kept as JSON: the tables and plots are made of nothing else."""

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
    """One run of one bench. `seconds` is how long it took, `notes` what a reader must know.

    `facts` are measured by the way, by name; docs/explanation/scale.md is computed from them.
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
    def stands(self) -> bool:
        """Whether there is a ratio, and each reaches its target."""
        return bool(self.comparisons) and all(each.stands for each in self.comparisons)


def machine() -> str:
    """This machine in a line."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def now() -> str:
    """The time in UTC, to the minute."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def save(result: Result, folder: Path) -> None:
    """Keep a result, in place of an earlier one of the same bench."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result), indent=1, ensure_ascii=False)
    (folder / f"{result.bench}.json").write_text(text + "\n")


def load(bench: str, folder: Path) -> Result | None:
    """The latest result of a bench, None where it never ran."""
    file = folder / f"{bench}.json"
    return _result(json.loads(file.read_text())) if file.exists() else None


def _result(given: dict[str, Any]) -> Result:
    return Result(**{**given, "comparisons": [_comparison(each) for each in given["comparisons"]]})


def _comparison(given: dict[str, Any]) -> Comparison:
    target = given["target"] and Target(**given["target"])
    pairs = [(ours, theirs) for ours, theirs in given["pairs"]]
    return Comparison(**{**given, "target": target, "pairs": pairs})
