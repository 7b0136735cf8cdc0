"""The commands that migrate, and processes whose database has the schema of another version."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest

from stepway.api.app import create_app
from stepway.api.serving import listen, serving
from stepway.migrations.history import SERVER
from stepway.migrations.upgrade import upgrade_database
from stepway.runtime.settings import Settings
from tests.support.databases import connected, functions, schema
from tests.support.servers import PATIENCE

ROOT = Path(__file__).parents[3]
STEPWAY = [str(Path(sys.executable).with_name("stepway"))]
LIBRARY = [sys.executable, "-m", "stepway_tracking.migrate"]


@pytest.fixture
def environment(servers: Settings, empty: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a process that uses the empty database."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("STEPWAY_")}
    return inherited | {
        "STEPWAY_DATABASE_URL": empty,
        "STEPWAY_REDIS_URL": servers.redis_url,
        "STEPWAY_TEMPORAL_ADDRESS": servers.temporal_address,
        "STEPWAY_TEMPORAL_TASK_QUEUE": "nobody",
        "STEPWAY_DATA_DIR": str(tmp_path),
    }


async def run(command: list[str], environment: dict[str, str]) -> tuple[int | None, str]:
    """Run a command; return its exit status and output."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, output.decode()


async def forget_post(url: str) -> None:
    """Put the functions of older versions back, as in a database before `--post`."""
    async with connected(url) as connection:
        await connection.execute("DELETE FROM stepway_tracking_version WHERE version_num ~ 'post'")
        for version in (1, 2):
            sql = ROOT / f"tracking/stepway_tracking/migrations/sql/record_v{version}.sql"
            await connection.execute(sql.read_text())


async def test_stepway_migrate(empty: str, environment: dict[str, str]) -> None:
    status, output = await run([*STEPWAY, "migrate", "--check"], environment)
    assert status == 1
    assert "stepway-tracking 0001_pre: The tables of the record" in output
    assert "stepway 0002_pre: Tokens, sessions and credentials." in output
    assert "older versions have stopped" not in output
    assert await schema(empty) == set()

    status, output = await run([*STEPWAY, "migrate"], environment)
    assert status == 0 and output.endswith("The database and Temporal are up to date.\n")
    assert await run([*STEPWAY, "migrate", "--check"], environment) == (
        0,
        "The database and Temporal are up to date.\n",
    )

    await forget_post(empty)
    status, output = await run([*STEPWAY, "migrate"], environment)
    assert status == 0 and "everything that this version needs.\nTo do with --post" in output
    status, output = await run([*STEPWAY, "migrate", "--check"], environment)
    assert status == 1 and "stepway-tracking 0006_post" in output
    status, output = await run([*STEPWAY, "migrate", "--post"], environment)
    assert status == 0 and "applied stepway-tracking 0006_post" in output
    assert "stepway_record" not in await functions(empty)


async def test_the_librarys_command(empty: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STEPWAY_")}
    status, output = await run([*LIBRARY, empty, "--check"], environment)
    assert status == 1 and "0005_pre" in output
    assert await schema(empty) == set()
    status, output = await run([*LIBRARY, empty], environment)
    assert status == 0 and output.endswith("The database is up to date.\n")
    assert (await run([*LIBRARY, empty, "--check"], environment))[0] == 0

    await forget_post(empty)
    status, output = await run([*LIBRARY, empty, "--post"], environment)
    assert status == 0 and "0006_post" in output
    assert "stepway_record" not in await functions(empty)


@pytest.mark.parametrize(
    ("drop", "lacks"),
    [
        ("DROP FUNCTION stepway_plan_v3", "the function stepway_plan_v3"),
        ("DROP TABLE sessions", "the table sessions"),
        ("DROP TABLE project_initialization_logs", "the table project_initialization_logs"),
    ],
)
async def test_a_missing_table_or_function_is_named(
    empty: str, environment: dict[str, str], drop: str, lacks: str
) -> None:
    await upgrade_database(empty)
    async with connected(empty) as connection:
        await connection.execute(drop)
    for command in (["migrate", "--check"], ["worker"]):
        status, output = await run([*STEPWAY, *command], environment)
        assert status == 1 and lacks in output, output


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "postgresql://127.0.0.1:port/", "no-url"]
)
async def test_the_librarys_command_says_what_is_wrong(url: str) -> None:
    status, output = await run([*LIBRARY, url], dict(os.environ))
    assert status == 2
    assert output.startswith("error: ") and "Traceback" not in output


@pytest.mark.parametrize("role", ["worker", "api"])
async def test_a_role_says_which_command_the_schema_needs(
    empty: str, environment: dict[str, str], role: str
) -> None:
    status, output = await run([*STEPWAY, role], environment)
    assert status == 1
    assert output.count("\n") == 1 and "run `stepway migrate`" in output

    await upgrade_database(empty)
    async with connected(empty) as connection:
        await connection.execute(
            "UPDATE stepway_version SET version_num = '9999_post' WHERE version_num ~ 'post'"
        )
    status, output = await run([*STEPWAY, role], environment)
    assert status == 1
    assert output.count("\n") == 1 and "upgrade stepway" in output


async def test_readyz_says_that_the_schema_does_not_fit(
    empty: str, servers: Settings, tmp_path: Path
) -> None:
    settings = servers.model_copy(update={"database_url": empty, "data_dir": tmp_path})
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with (
        serving(create_app(settings), listener),
        httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http,
    ):
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["missing"] == ["schema"]
        assert "run `stepway migrate`" in answer.json()["detail"]
        await upgrade_database(empty)
        assert (await http.get("/readyz")).status_code == 200
        async with connected(empty) as connection:
            await connection.execute(f"INSERT INTO {SERVER.version_table} VALUES ('9999_post')")
        answer = await http.get("/readyz")
        assert answer.status_code == 503 and "upgrade stepway" in answer.json()["detail"]
