"""Logs of ended attempts in a store of objects: S3's protocol, and a folder."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import boto3
import pytest
from moto.server import ThreadedMotoServer

from stepway.api.log_formats import LogReader
from stepway_tracking.logs.archive import ArchiveTimes, LogArchive
from stepway_tracking.logs.attempt_log import AttemptKey
from stepway_tracking.logs.blobs import LogBlobs
from stepway_tracking.logs.hub import LogHub
from stepway_tracking.logs.store import LogStore
from stepway_tracking.logs.writer import LogWriter
from stepway_tracking.record.errors import LogStoreAway
from tests.support.servers import eventually

AT_ONCE = ArchiveTimes(ended=0, silent=0)
LINES = 3_000
LINE = "x" * 1000


class Objects:
    """A store for one test, and what it holds."""

    def __init__(self, url: str, server: ThreadedMotoServer | None = None) -> None:
        self.url = url
        self.server = server

    def paths(self) -> list[str]:
        """The paths of all objects."""
        bucket, _, rest = self.url.partition("://")[2].partition("/")
        if self.server is None:
            return [str(path) for path in Path(f"/{rest}").rglob("*") if path.is_file()]
        found = s3(self.server).list_objects_v2(Bucket=bucket)
        return [each["Key"] for each in found.get("Contents", ())]


def s3(server: ThreadedMotoServer) -> Any:
    host, port = server.get_host_and_port()
    return boto3.client("s3", endpoint_url=f"http://{host}:{port}")


@pytest.fixture(params=["s3", "file"])
def objects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Objects]:
    if request.param == "file":
        (tmp_path / "logs").mkdir()
        yield Objects(f"file://{tmp_path}/logs")
        return
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"logs-{uuid4().hex[:8]}"
    s3(server).create_bucket(Bucket=bucket)
    yield Objects(f"s3://{bucket}/stepway", server)
    server.stop()


@pytest.fixture
async def key(pool: asyncpg.Pool) -> AsyncIterator[AttemptKey]:
    """A key of a project that exists."""
    project = uuid4()
    await pool.execute(
        "INSERT INTO projects (id, name, owner, blueprint, workflow_id)"
        " VALUES ($1, $2, 'o', 'b', 'w')",
        project,
        f"archived-{project.hex[:12]}",
    )
    yield AttemptKey(str(project), "step", "run", "1", 1)
    await pool.execute("DELETE FROM projects WHERE id = $1", project)
    await pool.execute(
        "DELETE FROM project_initialization_logs_archived WHERE project_id = $1", project
    )


async def write(pool: asyncpg.Pool, key: AttemptKey, lines: int = LINES, after: int = 0) -> None:
    writer = LogWriter(LogStore(pool), lambda value: value, lambda key, seq: None)
    log = writer.open(key)
    log._seq = after
    for number in range(lines):
        log.log("info", LINE)
        if number % 1000 == 999:
            await eventually(lambda: _is_empty(log))
    log.close()
    await eventually(lambda: _is_idle(writer))
    await writer.close()


async def _is_empty(log: object) -> bool:
    return bool(log.is_empty)  # type: ignore[attr-defined]


async def _is_idle(writer: LogWriter) -> bool:
    return writer.is_idle


async def move(pool: asyncpg.Pool, blobs: LogBlobs, key: AttemptKey) -> int:
    """Move the logs, of other tests too; return how many objects there are for the key."""
    await LogArchive(pool, blobs, AT_ONCE).move()
    count: int = await pool.fetchval(
        "SELECT count(*) FROM project_initialization_logs_archived"
        " WHERE project_id = $1 AND state = 'stored'",
        UUID(key.project_id),
    )
    return count


async def rows_of(pool: asyncpg.Pool, key: AttemptKey) -> int:
    count: int = await pool.fetchval(
        "SELECT count(*) FROM project_initialization_logs WHERE project_id = $1",
        UUID(key.project_id),
    )
    return count


async def seqs(store: LogStore, key: AttemptKey, after: int = 0) -> list[int]:
    found: list[int] = []
    while rows := await store.read(key, after):
        found += [line.seq for row in rows for line in row.lines if line.seq > after]
        after = rows[-1].last_seq
    return found


async def test_a_moved_log_is_read_followed_and_resumed_as_before(
    pool: asyncpg.Pool, key: AttemptKey, objects: Objects
) -> None:
    async def outcome(key: AttemptKey) -> str:
        return "completed"

    blobs = LogBlobs(objects.url)
    store = LogStore(pool, blobs)
    await write(pool, key)
    size = await store.size(key.project_id)
    assert await move(pool, blobs, key) == 1
    assert await rows_of(pool, key) == 0
    assert len(objects.paths()) >= 1
    assert await store.size(key.project_id) == size
    assert await seqs(store, key) == list(range(1, LINES + 1))
    assert await seqs(store, key, 1_234) == list(range(1_235, LINES + 1))
    assert await store.last_seq(key) == LINES
    hub = LogHub(store, outcome)
    for after in (0, 2_000, LINES):
        async with hub.follow(key, after) as rows:
            followed = [row async for row in rows]
        found = [line.seq for row in followed for line in row.lines if line.seq > after]
        assert found == list(range(after + 1, LINES + 1))
        assert followed[-1].ends
    await hub.close()


async def test_lines_after_the_move_are_read_behind_the_object_and_moved_later(
    pool: asyncpg.Pool, key: AttemptKey, objects: Objects
) -> None:
    blobs = LogBlobs(objects.url)
    store = LogStore(pool, blobs)
    await write(pool, key, 100)
    assert await move(pool, blobs, key) == 1
    # As of a worker that was frozen. The first end has the number 101.
    await write(pool, key, 100, after=101)
    expected = [*range(1, 101), *range(102, 202)]
    assert await seqs(store, key) == expected
    assert await move(pool, blobs, key) == 2
    assert await rows_of(pool, key) == 0
    assert await seqs(store, key) == expected


async def test_rows_stay_until_their_upload_is_confirmed(
    pool: asyncpg.Pool, key: AttemptKey, objects: Objects
) -> None:
    class Failing(LogBlobs):
        async def put(self, path: str, content: bytes) -> None:
            raise LogStoreAway("away")

    await write(pool, key, 100)
    with pytest.raises(LogStoreAway):
        await LogArchive(pool, Failing(objects.url), AT_ONCE).move()
    assert await seqs(LogStore(pool), key) == list(range(1, 101))
    assert await move(pool, LogBlobs(objects.url), key) == 1


async def test_workers_side_by_side_move_each_log_once(
    pool: asyncpg.Pool, key: AttemptKey, objects: Objects
) -> None:
    class Late(LogBlobs):
        """During its upload, another worker looks too."""

        async def put(self, path: str, content: bytes) -> None:
            assert await move(pool, LogBlobs(objects.url), key) == 0
            await super().put(path, content)

    await write(pool, key, 100)
    assert await move(pool, Late(objects.url), key) == 1
    assert await seqs(LogStore(pool, LogBlobs(objects.url)), key) == list(range(1, 101))


async def test_a_store_that_is_away_or_not_set_is_an_error_for_old_logs_only(
    pool: asyncpg.Pool, key: AttemptKey, objects: Objects
) -> None:
    blobs = LogBlobs(objects.url)
    await write(pool, key, 100)
    assert await move(pool, blobs, key) == 1
    new = AttemptKey(key.project_id, "step", "run", "1", 2)
    await write(pool, new, 10)
    with pytest.raises(LogStoreAway):
        await LogStore(pool).read(key, 0)
    if objects.server is not None:
        objects.server.stop()
        store = LogStore(pool, blobs)
        with pytest.raises(LogStoreAway) as away:
            await store.read(key, 0)
        assert "127.0.0.1" not in str(away.value)
        assert await seqs(store, new) == list(range(1, 11))
        objects.server.start()


async def test_objects_go_with_their_project_and_by_age(
    pool: asyncpg.Pool, key: AttemptKey, objects: Objects
) -> None:
    blobs = LogBlobs(objects.url)
    archive = LogArchive(pool, blobs, AT_ONCE)
    old = AttemptKey(key.project_id, "old", "run", "1", 1)
    await write(pool, key, 10)
    await write(pool, old, 10)
    assert await move(pool, blobs, key) == 2
    # An upload whose worker has died before the confirmation.
    await blobs.put(f"{key.project_id}/orphan", b"x")

    def own() -> int:
        return len([path for path in objects.paths() if key.project_id in path])

    assert own() == 3
    await pool.execute(
        "UPDATE project_initialization_logs_archived SET at = now() - interval '40 days'"
        " WHERE project_id = $1 AND step = 'old'",
        UUID(key.project_id),
    )
    await archive.remove(None)
    assert own() == 3
    await archive.remove(30)
    assert own() == 2
    assert await seqs(LogStore(pool, blobs), old) == []
    await pool.execute("DELETE FROM projects WHERE id = $1", UUID(key.project_id))
    await archive.remove(None)
    assert own() == 0


async def test_an_object_that_somebody_has_deleted_is_a_gap(
    pool: asyncpg.Pool, key: AttemptKey, objects: Objects
) -> None:
    blobs = LogBlobs(objects.url)
    store = LogStore(pool, blobs)
    await write(pool, key, 10)
    assert await move(pool, blobs, key) == 1
    await blobs.delete(await blobs.below(key.project_id))
    # The first end has the number 11.
    await write(pool, key, 5, after=11)
    assert await seqs(store, key) == list(range(12, 17))
    for after, told in ((0, [(0, 11, 10)]), (4, [(4, 11, 6)]), (10, []), (11, [])):
        reader = LogReader(after, None)
        text = b""
        at = after
        while rows := await store.read(key, at):
            text += b"".join(reader.encoded(row, "application/x-ndjson") for row in rows)
            at = rows[-1].last_seq
        items = [json.loads(line) for line in text.splitlines()]
        found = [item["gap"] for item in items if "gap" in item]
        numbers = [(gap["after"], gap["before"], gap["lines"]) for gap in found]
        # Number 11 is the end of the lines that are gone.
        assert [each for each in numbers if each[1] <= 11] == told
        assert [item["seq"] for item in items if "seq" in item] == list(range(12, 17))
        assert reader.complete


@pytest.mark.parametrize("objects", ["s3"], indirect=True)
async def test_a_bucket_that_is_missing_is_not_a_log_without_lines(
    pool: asyncpg.Pool, key: AttemptKey, objects: Objects
) -> None:
    await write(pool, key, 10)
    assert await move(pool, LogBlobs(objects.url), key) == 1
    other = LogBlobs("s3://no-such-bucket/stepway")
    with pytest.raises(LogStoreAway):
        await LogStore(pool, other).read(key, 0)
    with pytest.raises(LogStoreAway):
        await other.delete(["a"])


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
async def test_a_folder_that_is_not_mounted_is_away_and_never_made(
    pool: asyncpg.Pool, key: AttemptKey, tmp_path: Path, left: str
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    blobs = LogBlobs(f"file://{folder}")
    archive, store = LogArchive(pool, blobs, AT_ONCE), LogStore(pool, blobs)
    await write(pool, key, 10)
    assert await move(pool, blobs, key) == 1
    new = AttemptKey(key.project_id, "step", "run", "1", 2)
    await write(pool, new, 5)

    folder.rename(tmp_path / "unmounted")
    if left == "an empty folder":
        folder.mkdir()
        # As another process that starts now.
        with pytest.raises(LogStoreAway):
            await LogStore(pool, LogBlobs(f"file://{folder}")).read(key, 0)
    for act in (
        store.read(key, 0),
        archive.move(),
        blobs.put("a/b", b"x"),
        blobs.delete(["a"]),
        blobs.below("a"),
    ):
        with pytest.raises(LogStoreAway) as away:
            await act
        assert str(folder) not in str(away.value)
        assert away.value.reason is not None
    assert not any(folder.rglob("*"))
    assert folder.exists() == (left == "an empty folder")
    assert await seqs(store, new) == list(range(1, 6))

    if folder.exists():
        folder.rmdir()
    (tmp_path / "unmounted").rename(folder)
    assert await seqs(store, key) == list(range(1, 11))
    assert await move(pool, blobs, key) == 2
    assert await seqs(store, new) == list(range(1, 6))


def test_a_folder_must_exist_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    with pytest.raises(ValueError, match=f"the folder {folder} does not exist; create it, or mou"):
        LogBlobs(f"file://{folder}")
    assert not folder.exists()


@pytest.mark.parametrize("url", ["s3:/bucket", "gs://bucket", "bucket", "file://x"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must begin with s3:// or file:///"):
        LogBlobs(url)
