"""The sides of a bench: child processes that take requests on stdin and answer on stdout."""

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
    """A side did not start or a request failed; the text says why."""


class Child:
    """A running side. `ready` is its first line of output, printed when it is ready."""

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
        """CPU time used so far, in seconds, over all threads."""
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)

    def memory(self) -> int:
        """Its resident memory in bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    async def ask(self, request: str, **given: Any) -> Any:
        """Send a request and return the answer. Raises ChildFailed."""
        async with self._asking, asyncio.timeout(ANSWER_PATIENCE):
            assert self._process.stdin
            self._process.stdin.write(json.dumps({"do": request, **given}).encode() + b"\n")
            await self._process.stdin.drain()
            answer = _parsed(await self.line())
        if "error" in answer:
            raise ChildFailed(f"{request}: {answer['error']}\n{self._stderr()}")
        return answer["answer"]

    async def line(self) -> str:
        """The next line of output. Raises ChildFailed if the side has ended."""
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            raise ChildFailed(f"a side has ended: {self._stderr()}")
        return line.decode()

    async def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Send SIGTERM; kill the process after STOP_PATIENCE seconds."""
        if self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_PATIENCE)
        except TimeoutError:
            await self.kill()

    def _stderr(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-2000:]


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ChildFailed(f"a side printed a line that is not an answer: {line[:200]!r}") from error


@asynccontextmanager
async def running(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    """Run a side while the context is open. Raises ChildFailed if it ends while starting."""
    with TemporaryFile() as errors:
        # Requires asyncio's event loop: uvloop's subprocesses do not support preexec_fn.
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
    """The command that runs a module with this Python."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def stepway(*arguments: str) -> list[str]:
    """The command that runs the `stepway` CLI with this Python."""
    return [sys.executable, "-c", "from stepway.cli.main import main; main()", *arguments]
