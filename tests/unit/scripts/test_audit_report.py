"""The output of scripts/audit for reports of pip-audit and npm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "audit-report"

HOLED_PYTHON = {
    "dependencies": [
        {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]},
        {"name": "new", "version": "2.0", "vulns": []},
    ]
}
HOLED_NODE = {
    "metadata": {"vulnerabilities": {"high": 1, "low": 1}},
    "vulnerabilities": {
        "old": {"name": "old", "severity": "high"},
        "meek": {"name": "meek", "severity": "low"},
    },
}


def judged(kind: str, report: Any, folder: Path) -> tuple[int, str]:
    """Return the script's exit status and output."""
    file = folder / "report.json"
    if report is not None:
        file.write_text(json.dumps(report))
    ran = subprocess.run(
        [sys.executable, SCRIPT, kind, file], capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("kind", "report", "hole"),
    [("python", HOLED_PYTHON, "old 1.0: PYSEC-1"), ("node", HOLED_NODE, "old: high")],
)
def test_a_package_with_a_hole_fails_the_check_and_is_named(
    kind: str, report: Any, hole: str, tmp_path: Path
) -> None:
    assert judged(kind, report, tmp_path) == (1, f"vulnerable: {hole}\n")


@pytest.mark.parametrize(
    ("kind", "report"),
    [
        ("python", {"dependencies": [{"name": "new", "version": "2.0", "vulns": []}]}),
        ("node", {"metadata": {"vulnerabilities": {"high": 0}}, "vulnerabilities": {}}),
    ],
)
def test_packages_without_one_pass_in_silence(kind: str, report: Any, tmp_path: Path) -> None:
    assert judged(kind, report, tmp_path) == (0, "")


@pytest.mark.parametrize("kind", ["python", "node"])
def test_a_registry_that_does_not_answer_is_said_and_no_fault(kind: str, tmp_path: Path) -> None:
    status, said = judged(kind, None, tmp_path)
    assert status == 0
    assert f"no registry answered the audit of {kind} packages" in said
