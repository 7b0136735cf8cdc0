"""Follows a page like a reader: saves its files and runs its commands from top to bottom."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.docs.blocks import ROOT, Block

PATIENCE = 120.0
"""Timeout of one command in seconds."""

ADDRESS = "http://127.0.0.1:8000"
"""Address of Stepway in the pages."""

_ROLE = re.compile(r"^\.venv/bin/stepway (?P<arguments>(?:up|api|worker)\b.*?)(?: +#.*)?$")
# Commands that need a running Stepway.
_NEEDS_STEPWAY = re.compile(rf"bin/stepway|{ADDRESS}")
_EXPECTED = re.compile(r"^(?P<command>.*?) +# exits (?P<status>\d+)$", re.M)

_LOAD = """
import sys
from pathlib import Path
from stepway.blueprints.loader import load
from stepway.cli.run.roles import known_steps
from stepway.runtime.settings import load_settings
load(Path(sys.argv[1]), known_steps(load_settings()))
"""


class Reader:
    """A reader with a folder that looks like a clone after `scripts/demo`."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._environment = environment
        self._modules: list[str] = []
        self._roles: dict[str, asyncio.subprocess.Process] = {}
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
        (folder / "docs").symlink_to(ROOT / "docs")

    async def follow(self, block: Block) -> None:
        """Run or save the block. Raises AssertionError if that fails."""
        if block.file:
            file = self.folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code)
        if block.language == "sh":
            await self._run_commands(block.code)
        elif block.language == "python" and block.file:
            await self.run(f".venv/bin/python {block.file}")
            if "def step_activities" in block.code:
                self._modules.append(block.file.removesuffix(".py"))
        elif block.language == "yaml":
            await self._load(block)

    async def run(self, commands: str) -> str:
        """Run commands in the reader's shell, whose exported variables stay; their output.

        Where they need Stepway and the page has not started it, it is started first.
        """
        if not self._roles and _NEEDS_STEPWAY.search(commands):
            await self.start("up")
        expected = r"status=0; \g<command> || status=$?; test $status = \g<status>"
        commands = _EXPECTED.sub(expected, commands).replace(
            ADDRESS, self._environment.get("STEPWAY_API_URL", ADDRESS)
        )
        variables = self.folder / ".variables"
        script = f"set -euo pipefail\n{commands}\nenv -0 > {variables}\n"
        process = await self._start("bash", "-c", script)
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate()
        assert process.returncode == 0, f"{commands}\n{output.decode()}"
        pairs = (each.split("=", 1) for each in variables.read_text().split("\0") if each)
        self._environment = dict(pairs)  # type: ignore[arg-type]
        return output.decode()

    async def start(self, arguments: str) -> None:
        """Start or restart a role in its own terminal; wait until it is ready."""
        role = arguments.split(maxsplit=1)[0]
        await self.stop(role)
        if role != "worker":
            arguments += " --port 0"
        program = self.folder / ".venv" / "bin" / "stepway"
        process = self._roles[role] = await self._start(str(program), *arguments.split())
        assert process.stdout
        printed = ""
        async with asyncio.timeout(PATIENCE):
            while "ready" not in printed.rpartition("\n")[0].rpartition("\n")[2]:
                line = await process.stdout.readline()
                assert line, f"stepway {arguments} ended: {printed}"
                printed += line.decode()
        if found := re.search(r"^ready (http://\S+)$", printed, re.M):
            self._environment["STEPWAY_API_URL"] = found[1]

    async def stop(self, role: str) -> None:
        """Press Ctrl-C in the role's terminal, if it runs."""
        if process := self._roles.pop(role, None):
            process.terminate()
            await process.communicate()

    async def stop_all(self) -> None:
        """Stop every role."""
        for role in list(self._roles):
            await self.stop(role)

    async def _run_commands(self, code: str) -> None:
        waiting: list[str] = []
        for line in code.splitlines():
            if role := _ROLE.match(line):
                await self.run("\n".join(waiting))
                waiting.clear()
                await self.start(role["arguments"])
            else:
                waiting.append(line)
        await self.run("\n".join(waiting))

    async def _load(self, block: Block) -> None:
        assert block.file, f"{block.name}: its first line must name the file"
        process = await self._start(
            str(self.folder / ".venv" / "bin" / "python"),
            *("-c", _LOAD, block.file),
            STEPWAY_STEP_MODULES=",".join(self._modules),
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, f"{block.name}: {output.decode()}"

    async def _start(self, *command: str, **more: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={**self._environment, **more},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without Stepway's settings, plus `more`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STEPWAY_", "TEMPORAL_"))}
    programs = Path(sys.executable).parent
    return {**kept, "PATH": f"{programs}{os.pathsep}{kept.get('PATH', os.defpath)}", **more}
