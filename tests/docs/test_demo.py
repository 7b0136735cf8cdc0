"""`scripts/demo`, the first command that README shows."""

from __future__ import annotations

import re
from tempfile import TemporaryDirectory

from tests.docs.blocks import ROOT
from tests.docs.reader import clean_environment
from tests.support.processes import run

PATIENCE = 300.0
"""Seconds for the servers to start and for the demo's project to complete."""


async def test_the_demo_completes_its_project_and_stops() -> None:
    with TemporaryDirectory(prefix="stepway-demo-", ignore_cleanup_errors=True) as folder:
        status, said = await run(
            ROOT / "scripts" / "demo",
            "--once",
            env=clean_environment(STEPWAY_DATA_DIR=folder),
            patience=PATIENCE,
        )
    assert status == 0, said
    assert "http://127.0.0.1:" in said
    assert re.search(r"^demo-\S+ is active after", said, re.MULTILINE)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)
