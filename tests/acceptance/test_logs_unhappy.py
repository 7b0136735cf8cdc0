"""Logs on real servers when workers die, programs print too much, or readers are slow."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import psutil
import pytest

from stepway.cli.run.roles import running_api
from stepway.runtime.setting_types import SettingsError
from stepway.runtime.settings import Settings
from stepway.worker import running_worker
from stepway_tracking.logs import writer
from stepway_tracking.logs.archive import ArchiveTimes, LogArchive
from stepway_tracking.logs.attempts import LoggedAttempts
from stepway_tracking.logs.blobs import LogBlobs
from stepway_tracking.logs.store import LogStore
from stepway_tracking.logs.writer import LogWriter
from tests.acceptance.conftest import StartStepway
from tests.acceptance.test_logs import MODULES, complete, path_of, read
from tests.support.previous import Version, this_version
from tests.support.servers import Json, Stepway, eventually, running_stepway, write_blueprint

MEGABYTE = 1_000_000


@pytest.fixture
def apart(servers: Settings, folder: Path) -> Version:
    """Stepway in processes of its own, on a queue of its own."""
    (folder / "data").mkdir()
    root = Path(__file__).parents[2]
    return this_version(
        folder,
        {
            "STEPWAY_DATABASE_URL": servers.database_url,
            "STEPWAY_REDIS_URL": servers.redis_url,
            "STEPWAY_TEMPORAL_ADDRESS": servers.temporal_address,
            "STEPWAY_TEMPORAL_SIGNING_KEY_FILE": str(servers.temporal_signing_key_file or ""),
            "STEPWAY_TEMPORAL_TASK_QUEUE": f"logs-{uuid4().hex[:8]}",
            "STEPWAY_DATA_DIR": str(folder / "data"),
            "STEPWAY_BLUEPRINTS": str(folder),
            "STEPWAY_STEP_MODULES": ",".join(MODULES),
            "STEPWAY_STEP_PATH": str(root),
        },
    )


@asynccontextmanager
async def api_for(apart: Version, servers: Settings, folder: Path) -> AsyncIterator[Stepway]:
    """An API in this process, for workers that run apart."""
    queue = apart.environment["STEPWAY_TEMPORAL_TASK_QUEUE"]
    async with running_stepway(
        servers, folder, worker=False, modules=MODULES, queue=queue
    ) as stepway:
        yield stepway


def say(folder: Path, run: int, *items: Json) -> None:
    """Let the run of the step `talk` log these."""
    with (folder / f"talk.{run}.lines").open("a") as file:
        file.write("".join(json.dumps(item) + "\n" for item in items))


def write_talk(folder: Path) -> str:
    return write_blueprint(folder, [{"step": "talk", "uses": "talk", "heartbeat": 2}])


def write_command(folder: Path, script: str) -> str:
    name = f"command-{uuid4().hex[:8]}"
    step = {"step": "command", "uses": "run_command", "with": {"command": ["sh", "-c", script]}}
    (folder / f"{name}.yaml").write_text(json.dumps({"name": name, "steps": [step]}))
    return name


async def until_lines(stepway: Stepway, project: str, count: int, **query: int) -> None:
    async def are_there() -> bool:
        found = await stepway.http.get(path_of(project, "talk"), params=query)
        return found.status_code == 200 and len(found.text.splitlines()) >= count

    await eventually(are_there)


async def test_a_killed_worker_leaves_its_lines_and_a_log_whose_end_is_missing(
    apart: Version, servers: Settings, folder: Path
) -> None:
    blueprint = write_talk(folder)
    async with api_for(apart, servers, folder) as stepway:
        async with apart.running("worker") as (worker, _):
            project = await stepway.create(blueprint)
            say(folder, 1, {"text": "line #", "times": 10})
            await until_lines(stepway, project, 10)
            follower = asyncio.create_task(complete(stepway, project, "talk", attempt=1))
            worker.kill()
            await worker.wait()
        say(folder, 2, {"text": "again"}, {})
        async with apart.running("worker"):
            await stepway.until(project, "active")
            *found, end = await follower
            assert [line["text"] for line in found] == [f"line {n}" for n in range(1, 11)]
            assert end["end"]["outcome"] in ("lost", "timed_out")
            assert (end["end"]["complete"], end["end"]["superseded"]) == (False, True)
            *found, end = await complete(stepway, project, "talk")
            assert [line["text"] for line in found] == ["again"]
            assert (end["end"]["complete"], end["end"]["superseded"]) == (True, False)

        async def says_that_the_end_is_missing() -> bool:
            return "end" in (await read(stepway, project, "talk", attempt=1))[-1]

        await eventually(says_that_the_end_is_missing)
        # They are in the log, not in the worker's own output.
        assert "line 1" not in (folder / "worker.log").read_text()
        text = await stepway.http.get(
            path_of(project, "talk"), params={"attempt": 1}, headers={"Accept": "text/plain"}
        )
        assert text.text.endswith("line 10\n… the end of this log is missing …\n")
        assert [line["text"] for line in await read(stepway, project, "talk")] == ["again"]


async def test_any_logger_of_a_step_logs_from_info_and_the_workers_output_has_warnings_only(
    apart: Version, servers: Settings, folder: Path
) -> None:
    blueprint = write_talk(folder)
    said = [("acme.noisy", "debug"), ("acme.noisy", "info"), ("httpx", "info"), ("httpx", "error")]
    items = [{"logger": name, "level": level, "text": f"{name} {level}"} for name, level in said]
    async with api_for(apart, servers, folder) as stepway, apart.running("worker"):
        project = await stepway.create(blueprint)
        say(folder, 1, *items, {})
        *found, _ = await complete(stepway, project, "talk")
    assert [(line["level"], line["text"]) for line in found] == [
        ("info", "acme.noisy info"),
        ("error", "httpx error"),
    ]
    output = (folder / "worker.log").read_text()
    assert "httpx error" in output
    assert "acme.noisy" not in output


async def test_a_frozen_worker_that_goes_on_writes_to_its_own_superseded_attempt(
    apart: Version, servers: Settings, folder: Path
) -> None:
    blueprint = write_talk(folder)
    async with (
        api_for(apart, servers, folder) as stepway,
        apart.running("worker") as (frozen, _),
    ):
        project = await stepway.create(blueprint)
        say(folder, 1, {"text": "before"})
        await until_lines(stepway, project, 1)
        frozen.send_signal(signal.SIGSTOP)
        try:
            say(folder, 1, {"text": "late"})
            say(folder, 2, {"text": "heir"}, {})
            async with apart.running("worker"):
                await stepway.until(project, "active")
        finally:
            frozen.send_signal(signal.SIGCONT)
        await until_lines(stepway, project, 2, attempt=1)
        *found, end = await complete(stepway, project, "talk", attempt=1)
        assert [line["text"] for line in found][:2] == ["before", "late"]
        assert end["end"]["superseded"] is True
        assert [line["text"] for line in await read(stepway, project, "talk")] == ["heir"]


async def test_a_line_of_ten_megabytes_and_bytes_that_are_no_text(
    start_stepway: StartStepway, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the long line takes longer; its first part would be shown by itself.
    monkeypatch.setattr(writer, "PARTIAL_AFTER", 60.0)
    script = "printf 'a\\377\\376b\\n'; head -c 10000000 /dev/zero | tr '\\0' x; echo; echo last"
    blueprint = write_command(folder, script)
    async with start_stepway(modules=MODULES) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        invalid, long, last, end = await complete(stepway, project, "command")
        assert invalid["text"] == "a\ufffd\ufffdb"
        assert len(long["text"]) < 17_000
        assert "… 9983616 characters left out …" in long["text"]
        assert long["text"].startswith("xxx") and long["text"].endswith("xxx")
        assert last["text"] == "last"
        assert end["end"]["complete"] is True


async def test_a_line_without_an_end_is_shown_while_the_command_waits(
    start_stepway: StartStepway, folder: Path
) -> None:
    gate = folder / "go.open"
    script = f"printf 'Password'; until [ -e {gate} ]; do sleep 0.1; done; echo ': ok'"
    blueprint = write_command(folder, script)
    async with start_stepway(modules=MODULES) as stepway:
        project = await stepway.create(blueprint)

        async def is_shown() -> bool:
            answer = await stepway.http.get(path_of(project, "command"))
            return answer.status_code == 200 and '"Password"' in answer.text

        await eventually(is_shown)
        stepway.open_gate("go")
        *found, _ = await complete(stepway, project, "command")
        assert [line["text"] for line in found] == ["Password", ": ok"]


async def test_of_a_hundred_megabytes_the_ends_are_kept_in_bounded_memory(
    apart: Version, servers: Settings, pool: asyncpg.Pool, folder: Path
) -> None:
    line = "x" * 190
    blueprint = write_command(folder, f"seq -f '%09.0f {line}' 1 500000")
    async with (
        api_for(apart, servers, folder) as stepway,
        apart.running("worker") as (worker, _),
    ):
        measured = psutil.Process(worker.pid)
        before = highest = measured.memory_info().rss
        project = await stepway.create(blueprint)
        while (await stepway.initialization(project))["project"]["status"] != "active":
            highest = max(highest, measured.memory_info().rss)
            await asyncio.sleep(0.05)
        assert highest - before < 150 * MEGABYTE
        async with asyncio.timeout(120):
            text = await stepway.http.get(
                path_of(project, "command"),
                params={"follow": "true"},
                headers={"Accept": "text/plain"},
            )
    lines = text.text.splitlines()
    gaps = [each for each in lines if each.startswith("…")]
    numbers = [int(each[:9]) for each in lines if not each.startswith("…")]
    # As much as waits in memory at least, however slow Postgres is.
    assert numbers[:7_000] == list(range(1, 7_001))
    assert numbers[-7_000:] == list(range(493_001, 500_001))
    assert numbers == sorted(set(numbers))
    assert gaps and all(" lines" in gap and " left out …" in gap for gap in gaps)
    assert any(" MB, left out …" in gap for gap in gaps)
    kept = await pool.fetchval(
        "SELECT sum(size) FROM project_initialization_logs WHERE project_id = $1", project
    )
    assert kept < 45 * MEGABYTE


async def test_readers_that_read_nothing_cost_the_api_little_and_miss_nothing(
    apart: Version, servers: Settings, pool: asyncpg.Pool, folder: Path
) -> None:
    readers, lines, text = 10, 15_000, "y" * 800
    blueprint = write_talk(folder)
    async with AsyncExitStack() as stack:
        stepway = await stack.enter_async_context(api_for(apart, servers, folder))
        await stack.enter_async_context(apart.running("worker"))
        api, ready = await stack.enter_async_context(apart.running("api", "--port", "0"))
        project = await stepway.create(blueprint)
        say(folder, 1, {"text": "line"})
        await until_lines(stepway, project, 1)
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=ready.removeprefix("ready "), timeout=120)
        )
        path = path_of(project, "talk")
        answers = [
            await stack.enter_async_context(http.stream("GET", f"{path}?follow=true"))
            for _ in range(readers)
        ]
        measured = psutil.Process(api.pid)
        before = measured.memory_info().rss
        store = LogStore(pool)
        found = await LoggedAttempts(pool).find(project, "talk")
        assert found is not None
        # As the worker would write, but faster than any step logs.
        writing = LogWriter(store, lambda value: value, lambda key, seq: None)
        log = writing.open(found.key)
        log._seq = 1
        for number in range(lines):
            log.log("info", text)
            if number % 1000 == 999:
                await eventually(lambda: _is_empty(log))
        await eventually(lambda: _is_empty(log))
        await asyncio.sleep(2)  # For the API to read all that it wants.
        assert measured.memory_info().rss - before < 80 * MEGABYTE
        say(folder, 1, {})
        log.close()
        await stepway.until(project, "active")
        for answer in answers:
            seen = [json.loads(line) async for line in answer.aiter_lines() if line.strip()]
            assert [line["seq"] for line in seen[:-1]] == list(range(1, lines + 2))
            assert "end" in seen[-1]
        await writing.close()


async def test_a_log_in_a_store_reads_as_before_and_a_store_that_is_away_is_said_to_be(
    servers: Settings, pool: asyncpg.Pool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"file://{folder}/objects"
    kept = servers.model_copy(update={"log_store": url})
    match = f"STEPWAY_LOG_STORE: the folder {folder}/objects does not exist"
    for role in (running_api(kept, "127.0.0.1", 0), running_worker(kept)):
        with pytest.raises(SettingsError, match=match):
            async with role:
                pass
    (folder / "objects").mkdir()
    blueprint = write_command(folder, "printf '\\033[32mone\\033[0m\\n'; seq 2 5000")
    plain = {"Accept": "text/plain"}
    async with running_stepway(kept, folder, modules=MODULES) as stepway:
        project = await stepway.create(blueprint)
        await stepway.until(project, "active")
        path = path_of(project, "command")
        queries = ("", "?follow=true", "?tail=3", "?after=4990", "?after=4990&follow=true")
        await complete(stepway, project, "command")
        before = [(await stepway.http.get(path + query)).text for query in queries]
        text = (await stepway.http.get(path, headers=plain)).text
        assert text == "one\n" + "".join(f"{n}\n" for n in range(2, 5001))
        archive = LogArchive(pool, LogBlobs(url), ArchiveTimes(ended=0, silent=0))

        async def is_moved() -> bool:
            await archive.move()
            rows = "SELECT count(*) FROM project_initialization_logs WHERE project_id = $1"
            return await pool.fetchval(rows, UUID(project)) == 0

        await eventually(is_moved)
        after = [(await stepway.http.get(path + query)).text for query in queries]
        assert after == before
        assert (await stepway.http.get(path, headers=plain)).text == text

        (folder / "objects").rename(folder / "unmounted")
        for query in queries:
            await is_away(stepway, path + query)
        assert not (folder / "objects").exists()
        (folder / "unmounted").rename(folder / "objects")
        for file in (folder / "objects" / project).iterdir():
            file.unlink()
        gone = [json.loads(line) for line in (await stepway.http.get(path)).text.splitlines()]
        told = {"after": 0, "before": 5001, "lines": 5000, "characters": None}
        assert gone == [{"gap": told}]

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    away = servers.model_copy(update={"log_store": "s3://bucket/logs"})
    async with running_stepway(away, folder, worker=False) as stepway:
        for query in queries:
            await is_away(stepway, path + query)


async def is_away(stepway: Stepway, path: str) -> None:
    answer = await stepway.http.get(path)
    assert answer.status_code == 503, path
    assert answer.json()["detail"].startswith("The store of old logs cannot be reached")
    assert "127.0.0.1" not in answer.text
    assert "objects" not in answer.text
    assert "Retry-After" in answer.headers


async def _is_empty(log: object) -> bool:
    return bool(log.is_empty)  # type: ignore[attr-defined]
