"""`stepway up` on the data folder of a version whose Temporal has unsigned payloads."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
import yaml

from stepway.runtime.settings import Settings
from tests.support.previous import UNSIGNED, Version, previous_version, this_version
from tests.support.servers import PATIENCE, Json, Stepway


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Postgres' user can access."""
    with TemporaryDirectory(prefix="stepway-upgrade-", ignore_cleanup_errors=True) as place:
        yield Path(place)


def write_slow_blueprint(folder: Path) -> None:
    """Steps that note their runs; the second waits for the file `gate`, the last for `mended`."""
    note = 'echo run >>"$0/$1.$2"'
    wait = f'{note}; while [ ! -e "$0/gate" ]; do sleep 0.1; done; echo "<$0>"'
    scripts = {"first": note, "held": wait, "third": note, "last": f'{note}; [ -e "$0/mended" ]'}
    steps: list[Json] = [
        {
            "step": step,
            "uses": "run_command",
            "with": {"command": ["sh", "-c", script, str(folder), "${{ project.id }}", step]},
            "retry": {"maximum_attempts": 1 if step == "last" else 0},
        }
        for step, script in scripts.items()
    ]
    (folder / "slow.yaml").write_text(yaml.safe_dump({"name": "slow", "steps": steps}))


@asynccontextmanager
async def up(version: Version) -> AsyncIterator[Stepway]:
    """Run `stepway up`; stop it with SIGTERM at the end."""
    arguments = ("up", "--data-dir", str(version.folder / "data"), "--port", "0")
    async with version.running(*arguments) as (process, line):
        assert line.startswith("ready http://127.0.0.1:"), line
        async with httpx.AsyncClient(base_url=line.split()[1], timeout=PATIENCE) as http:
            yield Stepway(Settings(), version.folder, http)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0


def runs(folder: Path, project: str) -> dict[str, int]:
    """Return how many times each step has run."""
    files = folder.glob(f"{project}.*")
    return {file.suffix[1:]: len(file.read_text().splitlines()) for file in files}


async def test_initializations_go_on_unsigned_until_somebody_switches_signing_on(
    folder: Path,
) -> None:
    await asyncio.to_thread(write_slow_blueprint, folder)
    settings = {"STEPWAY_BLUEPRINTS": str(folder)}
    old = await previous_version(folder, settings, UNSIGNED, "embedded")
    new = this_version(folder, settings)
    async with up(old) as stepway:
        projects = [await stepway.create("slow") for _ in range(3)]
        for project in projects:
            await stepway.until_step(project, "held", "running")

    async with up(new) as stepway:
        await asyncio.to_thread((folder / "gate").touch)
        for project in projects:
            await stepway.until(project, "failed")
            # The worker that stopped has interrupted one of them, and nothing else ran twice.
            assert runs(folder, project) == {"first": 1, "held": 2, "third": 1, "last": 1}
        answer = await stepway.control(projects[0], "cancel")
        assert answer.status_code == 202, answer.text
        await stepway.until(projects[0], "cancelled")
        await asyncio.to_thread((folder / "mended").touch)
        for project in projects[1:]:
            assert (await stepway.control(project, "retry")).status_code == 202
            await stepway.until(project, "active")
    log, key = folder / "up.log", folder / "data" / "temporal.key"
    said = await asyncio.to_thread(log.read_text)
    history = folder / "data" / "temporal"
    assert f"delete the folder {history}" in said
    assert not key.exists()

    await asyncio.to_thread(shutil.rmtree, history)
    await asyncio.to_thread(log.write_text, "")
    async with up(new) as stepway:
        assert key.stat().st_mode & 0o777 == 0o600
        listed = (await stepway.http.get("/api/projects")).json()["items"]
        assert {one["id"]: one["status"] for one in listed} == {
            projects[0]: "cancelled",
            projects[1]: "active",
            projects[2]: "active",
        }
        # What an ended project has made without signatures serves its retry.
        assert (await stepway.control(projects[0], "retry")).status_code == 202
        await stepway.until(projects[0], "active")
        assert runs(folder, projects[0]) == {"first": 1, "held": 2, "third": 1, "last": 2}
        await stepway.until(await stepway.create("slow"), "active")
    assert "made by an older version" not in await asyncio.to_thread(log.read_text)
