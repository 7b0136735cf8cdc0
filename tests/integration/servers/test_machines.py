"""Machines of the tests are apart from one another, and end with the tests."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.machines import Machine, machines, why_not
from tests.support.processes import run, running
from tests.support.servers import eventually

TWO_MACHINES = """
import asyncio, json, sys
from pathlib import Path
from tests.support.machines import machines

async def main():
    async with machines(Path(sys.argv[1]), ("one", "two")) as network:
        commands = [machine.command("sleep", "600") for machine in network.machines]
        left = [await asyncio.create_subprocess_exec(*command) for command in commands]
        keepers = [machine.keeper for machine in network.machines]
        print(json.dumps([process.pid for process in (*left, *keepers)]), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


async def on(machine: Machine, script: str) -> str:
    """Run a script of the shell on a machine; return its output."""
    return (await run(*machine.command("sh", "-c", script)))[1]


async def test_machines_share_no_folder_and_no_network_but_ours(tmp_path: Path) -> None:
    async with machines(tmp_path, ("one", "two")) as network:
        one, two = network.machines
        assert await on(one, "echo mine >file; uname -n; cat file") == "one\nmine\n"
        assert await on(two, "uname -n; ls") == "two\n"
        assert (one.disk / "file").read_text() == "mine\n"
        assert await on(one, f"ls {two.disk.parent}") == ""
        for place in ("/", tmp_path, Path(sys.executable).parent):
            assert "Read-only file system" in await on(one, f"touch {place}/file")
        routes = (await on(one, "ip -4 route")).splitlines()
        assert [route.split()[:3] for route in routes] == [[network.address, "dev", "eth0"]]


async def test_nothing_of_them_is_left_when_the_tests_are_killed(tmp_path: Path) -> None:
    before = await links()
    async with running(
        *(sys.executable, "-c", TWO_MACHINES, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    ) as tests:
        assert tests.stdout
        processes = [psutil.Process(pid) for pid in json.loads(await tests.stdout.readline())]
        assert len(await links() - before) == 2
        tests.kill()
        await tests.wait()

        async def are_gone() -> bool:
            alive = any(process.is_running() for process in processes)
            return not alive and await links() <= before

        await eventually(are_gone)


async def links() -> set[str]:
    """Return the names of this computer's ends of the machines' cables."""
    _, said = await run("ip", "-brief", "link")
    return {line.split("@")[0] for line in said.splitlines() if line.startswith("sw")}
