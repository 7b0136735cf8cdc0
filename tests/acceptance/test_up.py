"""`stepway up` as a separate process with a data folder, as people run it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from stepway.runtime.settings import Settings
from tests.support import processes
from tests.support.servers import PATIENCE, Stepway, eventually, write_blueprint

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("stepway")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that Postgres' user can access."""
    with TemporaryDirectory(prefix="stepway-up-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def environment(folder: Path, **more: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("STEPWAY_")}
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "STEPWAY_BLUEPRINTS": str(folder),
        "STEPWAY_STEP_MODULES": "tests.support.steps",
        **more,
    }


async def run(*arguments: str, folder: Path, **more: str) -> tuple[int, str]:
    """Run a command; return its exit status and output."""
    return await processes.run(PROGRAM, *arguments, cwd=folder, env=environment(folder, **more))


@asynccontextmanager
async def up(
    folder: Path, **more: str
) -> AsyncIterator[tuple[Stepway, asyncio.subprocess.Process]]:
    """Run `stepway up` on a free port; stops it at the end."""
    async with processes.running(
        PROGRAM,
        "up",
        "--data-dir",
        str(folder / "data"),
        "--port",
        "0",
        cwd=folder,
        env=environment(folder, **more),
        stdout=asyncio.subprocess.PIPE,
    ) as process:
        assert process.stdout
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode().strip()
        assert line.startswith("ready http://127.0.0.1:")
        async with httpx.AsyncClient(base_url=line.split()[1], timeout=PATIENCE) as http:
            yield Stepway(Settings(), folder, http), process


async def test_an_initialization_goes_on_after_ctrl_c_and_another_up(place: Path) -> None:
    blueprint = write_blueprint(
        place, [{"step": "first"}, {"step": "held", "uses": "gate"}, {"step": "last"}]
    )
    async with up(place) as (stepway, process):
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    stepway.open_gate("held")
    async with up(place) as (stepway, process):
        await stepway.until(project, "active")
        assert stepway.runs("first") == 1
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_an_initialization_goes_on_after_kill_9_of_everything(place: Path) -> None:
    held = {"step": "held", "uses": "gate", "heartbeat": 2, "retry": {"initial_interval": 0.1}}
    blueprint = write_blueprint(place, [{"step": "first"}, held, {"step": "last"}])
    async with up(place) as (stepway, process):
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "held", "running")
        process.kill()
        await process.wait()
    stepway.open_gate("held")
    async with up(place) as (stepway, process):
        done = await stepway.until(project, "active")
        assert stepway.runs("first") == 1
        held_row = next(step for step in done["steps"] if step["step"] == "held")
        assert held_row["attempt"] == 2
        outcomes = [a["outcome"] for a in await stepway.attempts(project, "held")]
        assert outcomes == ["lost", "completed"]


async def test_up_says_where_everything_is_and_a_command_that_works(place: Path) -> None:
    async with up(place) as (_, process):
        process.send_signal(signal.SIGTERM)
        assert process.stdout
        said = (await process.stdout.read()).decode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)
    assert re.search(r"^  page +http://127\.0\.0\.1:\d+$", said, re.MULTILINE)
    assert re.search(r"^  Temporal +http://127\.0\.0\.1:\d+$", said, re.MULTILINE)
    assert re.search(rf"^  data +{place}/data$", said, re.MULTILINE)
    assert re.search(r"^  try +STEPWAY_API_URL=http://\S+ \S*stepway create ", said, re.MULTILINE)
    assert "ready" not in said


async def test_up_on_given_servers_embeds_none(place: Path, servers: Settings) -> None:
    given = {
        "STEPWAY_DATABASE_URL": servers.database_url,
        "STEPWAY_REDIS_URL": servers.redis_url,
        "STEPWAY_TEMPORAL_ADDRESS": servers.temporal_address,
        "STEPWAY_TEMPORAL_TASK_QUEUE": f"up-{os.getpid()}",
    }
    async with up(place, **given) as (stepway, _):
        project = await stepway.create()
        await stepway.until(project, "active")
        assert not (place / "data" / "postgres").exists()


async def test_a_port_in_use_is_one_line_and_exit_1(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, output = await run(
            "up", "--data-dir", str(place / "data"), "--port", port, folder=place
        )
    assert status == 1
    assert output.count("\n") == 1
    assert port in output


async def test_an_address_that_others_reach_is_refused_without_sign_in(place: Path) -> None:
    status, output = await run("up", "--host", "0.0.0.0", folder=place)
    assert status == 1
    assert "0.0.0.0" in output
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("role", "variable", "value", "title"),
    [
        ("migrate", "STEPWAY_DATABASE_URL", "postgresql://x:secret@127.0.0.1:1/x", "Postgres"),
        ("api", "STEPWAY_REDIS_URL", "redis://:secret@127.0.0.1:1", "Valkey"),
        ("worker", "STEPWAY_TEMPORAL_ADDRESS", "127.0.0.1:1", "Temporal"),
    ],
)
async def test_a_missing_server_is_one_line_that_names_its_variable(
    place: Path, servers: Settings, role: str, variable: str, value: str, title: str
) -> None:
    given = {
        "STEPWAY_DATABASE_URL": servers.database_url,
        "STEPWAY_REDIS_URL": servers.redis_url,
        "STEPWAY_TEMPORAL_ADDRESS": servers.temporal_address,
        variable: value,
    }
    status, output = await run(role, folder=place, **given)
    assert status == 1, output
    assert output.count("\n") == 1, output
    assert variable in output
    assert title in output
    assert "secret" not in output


async def test_a_bad_blueprint_stops_the_start_with_file_line_and_reason(place: Path) -> None:
    (place / "bad.yaml").write_text("name: bad\nsteps:\n  - step: one\n    uses: clone_the_moon\n")
    status, output = await run("up", "--data-dir", str(place / "data"), "--port", "0", folder=place)
    assert status == 1
    assert "bad.yaml:4" in output
    assert "clone_the_moon" in output
    assert output.count("\n") == 1


async def test_a_step_that_says_nothing_goes_on_when_its_worker_was_killed(place: Path) -> None:
    quiet = {"step": "quiet", "uses": "silent", "with": {"seconds": 100}}
    blueprint = write_blueprint(place, [{**quiet, "retry": {"initial_interval": 0.1}}])
    async with up(place) as (stepway, process):
        project = await stepway.create(blueprint)
        await stepway.until_step(project, "quiet", "running")
        # The row says so before the step's own code has begun; only its second run is short.
        await eventually(lambda: has_run(stepway, "quiet"))
        process.kill()
        await process.wait()
    async with up(place) as (stepway, _):
        await stepway.until(project, "active")
        assert stepway.runs("quiet") == 2


async def has_run(stepway: Stepway, step: str) -> bool:
    return stepway.runs(step) > 0
