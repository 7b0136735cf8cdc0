"""Workers on machines of their own: each has its own network, disk and host name.

A machine is a process that holds a network, a mount and a UTS namespace. It ends with its standard
input, and with it everything of the machine: nothing stays behind, also if the tests are killed.
Linux only; needs root, iproute2 and util-linux.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.support.previous import plain_environment
from tests.support.processes import PATIENCE, end, run

WORKER = Path(sys.executable).with_name("stepway")
NEEDED = ("ip", "mount", "nsenter", "setpriv", "sh", "stat", "unshare")
NAMESPACES = ("--mount", "--net", "--uts")

# Arguments: host name, own disk, where it is mounted, the folder of all disks.
# All else that machines could share is read-only; device files stay writable.
_HOLD = """
echo "$1" >/proc/sys/kernel/hostname
mount --bind "$2" "$3"
mount -t tmpfs tmpfs /dev/shm
place=$(stat -c %m "$4")
mount -t tmpfs tmpfs "$4"
mount -o remount,bind,ro /
[ "$place" = / ] || mount -o remount,bind,ro "$place"
ip link set lo up
echo ready
exec cat >/dev/null
"""


def why_not() -> str | None:
    """Return why this computer can have no machines; None if it can."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [program for program in NEEDED if shutil.which(program) is None]:
        return f"not installed: {', '.join(missing)} (Debian: apt-get install iproute2)"
    tried = subprocess.run(
        ["unshare", *NAMESPACES, "ip", "link", "add", "name", "a", "type", "veth"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no network namespaces: {tried.stderr.strip()}" if tried.returncode else None


@dataclass
class Machine:
    """A machine and its worker. `own` is its disk as the machine sees it, `disk` as tests do."""

    name: str
    own: Path
    disk: Path
    log: Path
    keeper: Process
    environment: Mapping[str, str] = field(default_factory=dict)
    worker: Process | None = None

    @property
    def identity(self) -> str:
        """The name of its worker in Temporal and in the record."""
        assert self.worker is not None
        return f"{self.worker.pid}@{self.name}"

    @property
    def runs(self) -> bool:
        """Whether its worker runs."""
        return self.worker is not None and self.worker.returncode is None

    def command(self, *command: str | Path) -> list[str | Path]:
        """Return the command line that runs a command on the machine, in its own folder.

        The process ends with the tests, and its ID is that of the command.
        """
        return [
            *("setpriv", "--pdeathsig", "KILL", "nsenter", f"--target={self.keeper.pid}"),
            *NAMESPACES,
            *("sh", "-c", 'cd "$0" && exec "$@"', self.own, *command),
        ]

    async def start(self) -> None:
        """Start the worker, unless it runs; the folder for temporary files is empty then."""
        if self.runs:
            return
        shutil.rmtree(self.disk / "tmp", ignore_errors=True)
        own = {"HOME": "home", "TMPDIR": "tmp", "STEPWAY_DATA_DIR": "data"}
        for folder in own.values():
            (self.disk / folder).mkdir(exist_ok=True)
        environment = {
            **plain_environment(),
            **{name: str(self.own / folder) for name, folder in own.items()},
            **self.environment,
        }
        with self.log.open("ab") as log:
            self.worker = await asyncio.create_subprocess_exec(
                *self.command(WORKER, "worker"), env=environment, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        """Kill -9 the worker."""
        if self.worker is not None and self.worker.returncode is None:
            self.worker.kill()
            await self.worker.wait()

    async def leave(self) -> None:
        """SIGTERM the worker, and wait for its end."""
        if self.worker is not None:
            await end(self.worker)


@dataclass
class Network:
    """Machines that reach the tests, and one another, at no address but `address`."""

    folder: Path
    address: str
    machines: list[Machine] = field(default_factory=list)

    def of(self, identity: str) -> Machine:
        """Return the machine with the worker of that name."""
        return next(machine for machine in self.machines if machine.identity == identity)

    def other(self, machine: Machine) -> Machine:
        """Return another machine."""
        return next(one for one in self.machines if one is not machine)


@asynccontextmanager
async def machines(
    folder: Path, names: tuple[str, ...], environment: Mapping[str, str] | None = None
) -> AsyncIterator[Network]:
    """Make machines, whose workers do not run yet. Their disks are below `folder`."""
    disks, own = folder / "disks", folder / "own"
    for place in (disks, own, *(disks / name for name in names)):
        place.mkdir()
    # 198.18.0.0/15 is for tests of networks.
    net = f"198.{random.choice((18, 19))}.{random.randrange(256)}"
    network = Network(folder, f"{net}.1")
    async with AsyncExitStack() as stack:
        for number, name in enumerate(names, start=2):
            keeper = await _keeper(stack, name, disks, own)
            await _connect(keeper.pid, network.address, f"{net}.{number}")
            machine = Machine(
                name, own, disks / name, folder / f"{name}.log", keeper, environment or {}
            )
            stack.push_async_callback(machine.kill)
            network.machines.append(machine)
        yield network


async def _keeper(stack: AsyncExitStack, name: str, disks: Path, own: Path) -> Process:
    script = ("sh", "-euc", _HOLD, "sh", name, disks / name, own, disks)
    keeper = await asyncio.create_subprocess_exec(
        "unshare", *NAMESPACES, *script, stdin=PIPE, stdout=PIPE
    )
    stack.push_async_callback(_let_go, keeper)
    assert keeper.stdout
    assert await asyncio.wait_for(keeper.stdout.readline(), PATIENCE) == b"ready\n"
    return keeper


async def _let_go(keeper: Process) -> None:
    assert keeper.stdin
    keeper.stdin.close()
    await asyncio.wait_for(keeper.wait(), PATIENCE)


async def _connect(pid: int, here: str, there: str) -> None:
    """Connect a machine by a cable. Its end here has the same address on all machines' cables."""
    link = f"sw{uuid4().hex[:10]}"
    inside = ("nsenter", f"--target={pid}", "--net", "ip")
    for command in (
        ("ip", "link", "add", "name", link, "type", "veth", "peer", "name", "eth0", "netns", pid),
        ("ip", "address", "add", here, "peer", there, "dev", link),
        ("ip", "link", "set", link, "up"),
        (*inside, "address", "add", there, "peer", here, "dev", "eth0"),
        (*inside, "link", "set", "eth0", "up"),
    ):
        status, said = await run(*map(str, command), stdin=DEVNULL)
        assert status == 0, said
