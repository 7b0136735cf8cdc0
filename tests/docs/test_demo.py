"""`scripts/demo`, the first command that README shows."""

from __future__ import annotations

import asyncio
from tempfile import TemporaryDirectory

from tests.docs.blocks import ROOT
from tests.docs.reader import clean_environment

PATIENCE = 300.0
"""Seconds for the servers to start and for the demo's project to complete."""


async def test_the_demo_completes_its_project_and_stops() -> None:
    with TemporaryDirectory(prefix="stepway-demo-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            ROOT / "scripts" / "demo",
            "--once",
            env=clean_environment(STEPWAY_DATA_DIR=folder),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert "http://127.0.0.1:" in output.decode()
