"""The npm package in a fresh project: the documentation's snippets compile there."""

from __future__ import annotations

import subprocess
from pathlib import Path

WEB = Path(__file__).parents[2] / "web"


def test_snippets_of_the_docs_compile_against_the_packed_package() -> None:
    assert (WEB / "dist/lib/stepway.d.ts").is_file(), "run scripts/web-build first"
    ran = subprocess.run(
        ["npm", "--prefix", str(WEB), "run", "test:packages"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
