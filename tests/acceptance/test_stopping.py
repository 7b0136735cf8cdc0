"""A signal ends each role in time, even if a server is away or a step ignores it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from stepway.cli.run.stopping import STOP_LIMIT
from stepway.embedded.servers import EmbeddedServers
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from stepway.runtime.temporal import connect_temporal
from stepway.workflows.deployment import prepare_temporal
from tests.support import processes
from tests.support.servers import PATIENCE, Stepway, eventually, write_blueprint

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("stepway")
WITHIN = STOP_LIMIT + 10
"""Seconds that a role may take to end; ten of them for a machine under load."""

RETRY = {"maximum_attempts": 1}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for the blueprints, the steps' files and the data."""
    with TemporaryDirectory(prefix="stepway-stop-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
async def own_servers(folder: Path) -> AsyncIterator[tuple[EmbeddedServers, Settings]]:
    """Servers that the test may stop."""
    servers = EmbeddedServers(Settings(data_dir=folder / "servers"))
    async with servers as found:
        await upgrade_database(found.database_url)
        queue = f"stop-{uuid4().hex[:8]}"
        await prepare_temporal(await connect_temporal(found), queue)
        yield servers, found.model_copy(update={"temporal_task_queue": queue})


def environment(folder: Path, settings: Settings) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("STEPWAY_")}
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "STEPWAY_BLUEPRINTS": str(folder),
        "STEPWAY_STEP_MODULES": "tests.support.steps",
        "STEPWAY_DATA_DIR": str(folder / "data"),
        "STEPWAY_DATABASE_URL": settings.database_url,
        "STEPWAY_REDIS_URL": settings.redis_url,
        "STEPWAY_TEMPORAL_ADDRESS": settings.temporal_address,
        "STEPWAY_TEMPORAL_TASK_QUEUE": settings.temporal_task_queue,
    }


@asynccontextmanager
async def running(
    folder: Path, settings: Settings, *arguments: str
) -> AsyncIterator[tuple[Process, str]]:
    """A role as a process, and its first line."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *arguments,
        cwd=folder,
        env=environment(folder, settings),
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        assert process.stdout
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode().strip()
        yield process, line
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def up(folder: Path, settings: Settings) -> AsyncIterator[tuple[Process, Stepway]]:
    async with running(folder, settings, "up", "--port", "0") as (process, line):
        assert line.startswith("ready http://"), line
        async with httpx.AsyncClient(base_url=line.split()[1], timeout=PATIENCE) as http:
            yield process, Stepway(settings, folder, http)


async def ends(process: Process) -> tuple[int | None, str]:
    """Wait for the end; return the exit status and the rest of the output. Raises TimeoutError."""
    output, _ = await asyncio.wait_for(process.communicate(), WITHIN)
    return process.returncode, output.decode()


def in_every_phase(folder: Path) -> dict[str, str]:
    """Blueprints: a running step, a wait for a person, and a failure to be recorded soon."""
    held = write_blueprint(folder, [{"step": "held", "uses": "gate", "heartbeat": 2}])
    broken = write_blueprint(folder, [{"step": "bad", "uses": "broken"}])
    soon = write_blueprint(
        folder, [{"step": "late", "uses": "gate", "timeout": 4, "retry": RETRY}, {"step": "last"}]
    )
    return {"held": held, "broken": broken, "soon": soon}


async def until_late_is_over(away: str, worker: Process, stepway: Stepway, soon: str) -> None:
    """Wait until the step `late` has exceeded its limit, and its failure is to be recorded."""
    if away != "postgres":
        await stepway.until_step(soon, "late", "failed")
        return
    assert worker.stdout
    said = b""
    async with asyncio.timeout(PATIENCE):
        while b"Postgres cannot record failed of late" not in said:
            said = await worker.stdout.readline()
            assert said


@pytest.mark.parametrize(
    ("away", "number"),
    [("postgres", signal.SIGTERM), ("valkey", signal.SIGINT), ("temporal", signal.SIGTERM)],
)
async def test_up_ends_while_a_server_is_away_and_goes_on_at_the_next_start(
    folder: Path,
    own_servers: tuple[EmbeddedServers, Settings],
    away: str,
    number: signal.Signals,
) -> None:
    servers, settings = own_servers
    names = in_every_phase(folder)
    async with up(folder, settings) as (process, stepway):
        held, broken, soon = [await stepway.create(name) for name in names.values()]
        await stepway.until_step(held, "held", "running")
        await stepway.until_step(soon, "late", "running")
        await stepway.until(broken, "failed")
        await servers.kill(away)
        await until_late_is_over(away, process, stepway, soon)
        process.send_signal(number)
        status, said = await ends(process)
        assert status == 0, said
    await servers.restart(away)
    stepway.open_gate("held")
    async with up(folder, settings) as (process, stepway):
        await stepway.until(held, "active")
        assert (await stepway.until_step(soon, "late", "failed"))["error"]
        process.send_signal(signal.SIGTERM)
        assert (await ends(process))[0] == 0


@pytest.mark.parametrize("role", ["worker", "api"])
@pytest.mark.parametrize("away", ["postgres", "temporal"])
async def test_a_role_alone_ends_while_a_server_is_away(
    folder: Path, own_servers: tuple[EmbeddedServers, Settings], role: str, away: str
) -> None:
    servers, settings = own_servers
    names = in_every_phase(folder)
    async with (
        running(folder, settings, "worker") as (worker, said),
        running(folder, settings, "api", "--port", "0") as (api, line),
    ):
        assert said == "worker ready"
        async with httpx.AsyncClient(base_url=line.split()[1], timeout=PATIENCE) as http:
            stepway = Stepway(settings, folder, http)
            soon = await stepway.create(names["soon"])
            await stepway.until_step(soon, "late", "running")
            await servers.kill(away)
            await until_late_is_over(away, worker, stepway, soon)
            process = worker if role == "worker" else api
            process.send_signal(signal.SIGTERM)
            status, said = await ends(process)
            assert status == 0, said


@pytest.mark.parametrize("how", ["coroutine", "thread", "loop"])
async def test_a_step_that_ignores_the_stop_does_not_hold_it_up(
    folder: Path, own_servers: tuple[EmbeddedServers, Settings], how: str
) -> None:
    _, settings = own_servers
    step: dict[str, Any] = {"step": "deaf", "uses": f"deaf_{how}", "retry": RETRY}
    blueprint = write_blueprint(folder, [{"step": "first", "uses": "gate"}, step])
    async with up(folder, settings) as (process, stepway):
        project = await stepway.create(blueprint)
        # Not before the API has answered: it shares the event loop that the step may block.
        stepway.open_gate("first")
        await eventually(lambda: _has_run(stepway, "deaf"))
        if how != "loop":
            await stepway.until_step(project, "deaf", "running")
        process.send_signal(signal.SIGINT)
        status, said = await ends(process)
        assert status == 0, said


async def test_a_second_signal_ends_at_once_and_leaves_no_process(folder: Path) -> None:
    blueprint = write_blueprint(folder, [{"step": "deaf", "uses": "deaf_coroutine"}])
    sleeper = write_blueprint(
        folder, [{"step": "nap", "uses": "run_command", "with": {"command": ["sleep", "300"]}}]
    )
    file = folder / f"{sleeper}.yaml"
    lines = file.read_text().splitlines()
    # Not the arguments of the tests' own steps.
    file.write_text("\n".join(x for x in lines if not x.strip().startswith(("folder:", "name: n"))))
    settings = Settings(data_dir=folder / "data")
    async with up(folder, settings) as (process, stepway):
        for name, step in ((blueprint, "deaf"), (sleeper, "nap")):
            await stepway.until_step(await stepway.create(name), step, "running")
        await eventually(lambda: _has_children(process, "sleep", "postgres"))
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        await eventually(lambda: _refuses(stepway.http))
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        status, _ = await ends(process)
        assert status == 128 + signal.SIGTERM
        assert time.monotonic() - since < 5
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, 10)
        assert alive == []


async def _has_run(stepway: Stepway, step: str) -> bool:
    return stepway.runs(step) > 0


async def _refuses(http: httpx.AsyncClient) -> bool:
    try:
        await http.get("/healthz")
    except httpx.TransportError:
        return True
    return False


async def _has_children(process: Process, *names: str) -> bool:
    """Whether the process has started programs of these names, or any if none is given."""
    children = psutil.Process(process.pid).children(recursive=True)
    return bool(children) and {*names} <= {child.name() for child in children}


@pytest.mark.parametrize("seconds", [0.0, 1.0, 2.5])
async def test_a_signal_during_the_start_ends_it_with_status_0(
    folder: Path, seconds: float
) -> None:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("up", "--data-dir", str(folder / "data"), "--port", "0"),
        cwd=folder,
        env=environment(folder, Settings(data_dir=folder)),
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        await eventually(lambda: _has_children(process))
        # The signal arrives at different moments of the start.
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGINT)
        status, said = await ends(process)
        assert "Traceback" not in said
        assert status == 0, said
    finally:
        await processes.end(process)


async def _has_loaded(process: Process, part: str) -> bool:
    maps = Path(f"/proc/{process.pid}/maps")
    return part in await asyncio.to_thread(maps.read_text)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("role", ["worker", "api", "up", "demo"])
async def test_a_signal_during_the_imports_ends_it_with_status_0(
    folder: Path, role: str, number: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        role,
        cwd=folder,
        env=environment(folder, Settings(data_dir=folder)),
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        # The SDK is loaded in the middle of the imports.
        await eventually(lambda: _has_loaded(process, "temporal_sdk_bridge"))
        process.send_signal(number)
        status, said = await ends(process)
        assert status == 0, said
        assert "Traceback" not in said
    finally:
        await processes.end(process)
