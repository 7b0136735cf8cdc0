"""Starts processes and makes sure that they end with the test."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds that a process gets to end."""


@asynccontextmanager
async def running(*command: str | Path, **options: Any) -> AsyncIterator[Process]:
    """Start a command; yields its process and ends it when the block is left."""
    process = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield process
    finally:
        await end(process)


async def end(process: Process, patience: float = PATIENCE) -> None:
    """Terminate a process that still runs; kill it after `patience` seconds."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        process.kill()
        await process.wait()


async def run(*command: str | Path, patience: float = PATIENCE, **options: Any) -> tuple[int, str]:
    """Run a command; return its exit status and output. Raises TimeoutError."""
    async with running(*command, stdout=PIPE, stderr=STDOUT, **options) as process:
        output, _ = await asyncio.wait_for(process.communicate(), patience)
    assert process.returncode is not None
    return process.returncode, output.decode()
