"""Processes that tests start, gone when the test is over, however it ends."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds that a process has to end."""


@asynccontextmanager
async def running(*command: str | Path, **options: Any) -> AsyncIterator[Process]:
    """The process of a command; it is asked to end, and then killed, when the block is left."""
    process = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield process
    finally:
        await end(process)


async def end(process: Process, patience: float = PATIENCE) -> None:
    """Ask a process to end where it still runs; kill it after `patience` seconds."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        process.kill()
        await process.wait()


async def run(*command: str | Path, patience: float = PATIENCE, **options: Any) -> tuple[int, str]:
    """Run a command to its end: its exit status, and all it printed. Raises TimeoutError."""
    async with running(*command, stdout=PIPE, stderr=STDOUT, **options) as process:
        output, _ = await asyncio.wait_for(process.communicate(), patience)
    assert process.returncode is not None
    return process.returncode, output.decode()
