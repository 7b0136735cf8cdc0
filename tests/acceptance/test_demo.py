"""The demo's blueprint, and `stepway demo` as people run it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stepway.cli.commands.demo import BLUEPRINTS
from tests.acceptance.conftest import StartStepway
from tests.support import processes
from tests.support.servers import PATIENCE

QUICK = 0.05


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that Postgres' user can access."""
    with TemporaryDirectory(prefix="stepway-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(BLUEPRINTS / "demo.yaml", tmp_path)
    return tmp_path


async def test_the_demo_has_parallel_steps_sub_steps_and_one_that_recovers(
    start_stepway: StartStepway,
) -> None:
    async with start_stepway() as stepway:
        project = await stepway.create("demo", pace=QUICK)
        await stepway.until(project, "active")
        steps = await stepway.steps(project)
        outcomes = [a["outcome"] for a in await stepway.attempts(project, "run_checks")]
    assert outcomes == ["failed", "completed"]
    image, checks = steps["build_image"], steps["run_checks"]
    assert checks["started_at"] < image["completed_at"]
    assert image["started_at"] < checks["completed_at"]
    assert [name for name in steps if name.startswith("deploy.")] == [
        "deploy.deploy_to_development",
        "deploy.deploy_to_staging",
        "deploy.deploy_to_production",
    ]


async def test_a_broken_deployment_is_mended_by_a_retry(start_stepway: StartStepway) -> None:
    async with start_stepway() as stepway:
        project = await stepway.create("demo", pace=QUICK, broken=True)
        failed = await stepway.until(project, "failed")
        (deploy,) = [step for step in failed["steps"] if step["step"] == "deploy"]
        assert (deploy["status"], deploy["attempt"]) == ("failed", 1)
        answer = await stepway.control(
            project, "steps/deploy/retry", {"parameters": {"broken": False}}
        )
        assert answer.status_code == 202, answer.text
        await stepway.until(project, "active")


def environment(place: Path) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("STEPWAY_")}
    return {**inherited, "STEPWAY_DATA_DIR": str(place / "data"), "PATH": "/usr/bin:/bin"}


async def said_until(demo: asyncio.subprocess.Process, part: str) -> str:
    """Read the demo's output until a line with this part; return what was read."""
    assert demo.stdout
    said = ""
    async with asyncio.timeout(2 * PATIENCE):
        while part not in said:
            line = (await demo.stdout.readline()).decode()
            assert line, said
            said += line
    return said


async def test_its_printed_commands_work_as_printed(place: Path) -> None:
    shell = place / "shell"
    shell.mkdir()
    command = (sys.executable, "-m", "stepway", "demo", "--pace", str(QUICK))
    async with processes.running(
        *(*command, "--called-from", str(shell)),
        cwd=place,
        env=environment(place),
        stdout=asyncio.subprocess.PIPE,
    ) as demo:
        said = await said_until(demo, "rm -r")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)
        for name in ("page", "Temporal", "data", "project"):
            assert re.search(rf"^  {name} +\S+$", said, re.MULTILINE), said
        printed = re.findall(r"^    (.*stepway .*)$", said, re.MULTILINE)
        statuses = [await in_shell(line, shell, place) for line in printed]
        assert statuses == [0, 1, 0, 0]
        demo.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            assert await demo.wait() == 0


@pytest.mark.parametrize("more", [[], ["--once"]])
async def test_interrupt_says_that_it_stops_and_what_becomes_of_the_project(
    place: Path, more: list[str]
) -> None:
    """As Ctrl-C does it in a terminal: the signal reaches all processes in the foreground."""
    async with processes.running(
        *(sys.executable, "-m", "stepway", "demo", *more),
        cwd=place,
        env=environment(place),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    ) as demo:
        assert demo.stdout
        async with asyncio.timeout(2 * PATIENCE):
            await said_until(demo, "running")
            os.killpg(demo.pid, signal.SIGINT)
            rest = (await demo.stdout.read()).decode()
            await demo.wait()
    assert rest.endswith("Stopping. Unfinished projects continue at the next start.\n")
    assert "Watch it again" not in rest
    assert "connection lost" not in rest


async def in_shell(line: str, folder: Path, place: Path) -> int:
    """Run a printed command in a shell; return its exit status."""
    status, _ = await processes.run("sh", "-c", line, cwd=folder, env=environment(place))
    return status


async def test_once_leaves_with_1_when_nothing_can_be_started(place: Path) -> None:
    (place / "data").touch()
    command = (sys.executable, "-m", "stepway", "demo", "--once")
    status, said = await processes.run(*command, cwd=place, env=environment(place))
    assert status == 1
    assert re.search(r"^error: STEPWAY_DATA_DIR: .*data", said, re.MULTILINE)


async def test_once_leaves_with_0_when_its_project_is_active_and_all_has_stopped(
    place: Path,
) -> None:
    command = (sys.executable, "-m", "stepway", "demo", "--once")
    status, said = await processes.run(
        *command, cwd=place, env=environment(place), patience=2 * PATIENCE
    )
    assert status == 0, said
    assert "is active after" in said
    assert "did not stop in time" not in said
