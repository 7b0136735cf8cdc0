"""The other processes of a bench: one a side, asked over their standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import psutil

from stepway.embedded.process import ends_with_parent

ROOT = Path(__file__).parent.parent
START_PATIENCE = 60.0
ANSWER_PATIENCE = 90.0
STOP_PATIENCE = 15.0
LONGEST_LINE = 64 * 1024 * 1024


class ChildFailed(Exception):
    """A side did not start, or could not do what it was asked; its text says why."""


class Child:
    """A running side. Its first line says that it is ready, and `ready` holds that line."""

    def __init__(self, process: asyncio.subprocess.Process, errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors
        self._asking = asyncio.Lock()
        self.ready = ""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def port(self) -> int:
        """The port in its first line."""
        return int(self.ready.rpartition(":")[2].strip("}/ "))

    def cpu_seconds(self) -> float:
        """What it has used of the processor so far, its threads together."""
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)

    def memory(self) -> int:
        """Its resident memory in bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    async def ask(self, what: str, **given: Any) -> Any:
        """Have it do something; its answer. Raises ChildFailed."""
        async with self._asking, asyncio.timeout(ANSWER_PATIENCE):
            assert self._process.stdin
            self._process.stdin.write(json.dumps({"do": what, **given}).encode() + b"\n")
            await self._process.stdin.drain()
            answer = _parsed(await self.line())
        if "error" in answer:
            raise ChildFailed(f"{what}: {answer['error']}\n{self._said()}")
        return answer["answer"]

    async def line(self) -> str:
        """Its next line. Raises ChildFailed at its end."""
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            raise ChildFailed(f"a side has ended: {self._said()}")
        return line.decode()

    async def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_PATIENCE)
        except TimeoutError:
            await self.kill()

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-2000:]


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ChildFailed(f"a side said what is no answer: {line[:200]!r}") from error


@asynccontextmanager
async def running(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    """Run a side until the context is left. Raises ChildFailed when it does not get ready."""
    with TemporaryFile() as errors:
        # Not uvloop's subprocesses, which know no preexec_fn; the suite runs on asyncio's loop.
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            limit=LONGEST_LINE,
            preexec_fn=ends_with_parent(signal.SIGKILL),
        )
        child = Child(process, errors)
        try:
            child.ready = (await asyncio.wait_for(child.line(), START_PATIENCE)).strip()
            yield child
        finally:
            await child.stop()


def python(module: str, *arguments: str | int) -> list[str]:
    """The command of one of our own sides, on this Python."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def stepway(*arguments: str) -> list[str]:
    """The command of a role of Stepway, on this Python."""
    return [sys.executable, "-c", "from stepway.cli.main import main; main()", *arguments]
