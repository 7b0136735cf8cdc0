"""Installs previous versions of Stepway, from the Git history, into virtual environments."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREVIOUS = "4fc70c04241859485738181fb465d13ed658f054"
"""The last commit of version 0.1."""

UNSIGNED = "fd3ea40be212b94fd221c1ac528ca00546a8db89"
"""A commit of version 0.2: version 2 of the SQL functions, and unsigned payloads in Temporal."""

PATIENCE = 60.0
INSTALL_SECONDS = 300.0


@dataclass(frozen=True)
class Version:
    """An installed version: its console script, and the environment and folder of its processes."""

    program: Path
    environment: Mapping[str, str]
    folder: Path

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command; return its exit status and output."""
        return await _run(
            [self.program, *arguments], self.folder, self.environment, patience=PATIENCE
        )

    @asynccontextmanager
    async def running(
        self, *arguments: str
    ) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
        """Start a role; yields its process and its ready line. Kills it at the end."""
        with (self.folder / f"{arguments[0]}.log").open("a") as log:
            process = await asyncio.create_subprocess_exec(
                self.program,
                *arguments,
                cwd=self.folder,
                env=self.environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert process.stdout
        try:
            async with asyncio.timeout(PATIENCE):
                line = (await process.stdout.readline()).decode().strip()
            yield process, line
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def this_version(folder: Path, settings: Mapping[str, str]) -> Version:
    """Return the version under test."""
    program = Path(sys.executable).with_name("stepway")
    return Version(program, {**plain_environment(), **settings}, folder)


async def previous_version(
    folder: Path, settings: Mapping[str, str], commit: str = PREVIOUS, *extras: str
) -> Version:
    """Install a previous version into a folder; skip the test in a shallow clone."""
    git = ["git", "-C", str(ROOT)]
    status, _ = await _run([*git, "cat-file", "-e", f"{commit}^{{commit}}"], folder, os.environ)
    if status:
        pytest.skip(f"a shallow clone, without the commit {commit} of a previous version")
    source, archive, environment = folder / "source", folder / "source.tar", folder / "venv"
    source.mkdir()
    await _succeed([*git, "archive", f"--output={archive}", commit], folder, os.environ)
    # Python before 3.11.4 has no filter; the archive is our own.
    shutil.unpack_archive(archive, source)
    await _succeed(
        [uv(), "sync", "--quiet", "--frozen", "--no-dev", *(f"--extra={one}" for one in extras)],
        source,
        {**plain_environment(), "UV_PROJECT_ENVIRONMENT": str(environment)},
    )
    return Version(environment / "bin" / "stepway", {**plain_environment(), **settings}, folder)


def plain_environment() -> dict[str, str]:
    """Return this process's environment without settings of Stepway and Python."""
    dropped = ("STEPWAY_", "PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    return {k: v for k, v in os.environ.items() if not k.startswith(dropped)}


def uv() -> str:
    """Return the path of the uv that the scripts use."""
    found = shutil.which("uv") or ROOT / ".tools" / "uv" / "bin" / "uv"
    assert Path(found).exists(), "uv is needed: `scripts/test` installs it"
    return str(found)


async def _succeed(command: list[str | Path], folder: Path, environment: Mapping[str, str]) -> None:
    status, output = await _run(command, folder, environment)
    assert status == 0, output


async def _run(
    command: list[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    patience: float = INSTALL_SECONDS,
) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(patience):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, output.decode()
