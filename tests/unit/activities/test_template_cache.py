"""Templates are fetched once for all workers of a machine, and the oldest make room."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.locks import try_lock, unlock
from stepway.activities.templates import fetch as template_fetch
from stepway.activities.templates.cache import TemplateCache, _key
from stepway.activities.templates.fetch import Repository
from tests.support.gitserver import EXECUTABLE, LINK, GitServer, git_server
from tests.support.gitserver import Repository as Served


@pytest.fixture
def server() -> Iterator[GitServer]:
    with git_server() as server:
        yield server


@pytest.fixture
def made(server: GitServer, tmp_path: Path) -> Served:
    return server.add("tpl.git", tmp_path / "git")


class Cancelled(Exception):
    """What a heartbeat raises after a cancel."""


def nothing() -> None:
    """Take no notice of heartbeats."""


def copied(cache: TemplateCache, url: str, commit: str, target: Path) -> str:
    """The text of the file `a` in the copy."""
    cache.copy(Repository(url), commit, target, nothing)
    return (target / "a").read_text()


def left(cache: TemplateCache) -> list[str]:
    return sorted(path.name for path in cache.folder.iterdir())


def test_a_commit_is_fetched_once_and_copied_each_time(server, made, tmp_path):
    cache = TemplateCache(tmp_path / "cache")
    commit = made.write({"a": "1", "run": (EXECUTABLE, b"x"), "l": (LINK, b"../../outside")})
    for name in ("one", "two"):
        assert copied(cache, made.url, commit, tmp_path / name) == "1"
        assert (tmp_path / name / "run").stat().st_mode & 0o111
        assert (tmp_path / name / "l").readlink() == Path("../../outside")
        shutil.rmtree(tmp_path / name)  # nothing that is done to a copy is seen by the next
    assert server.fetches() == 1
    assert left(cache) == [_key(made.url, commit)]
    assert cache.folder.stat().st_mode & 0o077 == 0


def test_many_threads_fetch_it_once(server, made, tmp_path):
    cache = TemplateCache(tmp_path / "cache")
    commit = made.write({"a": "1"})
    server.wait = 0.3
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(
            lambda n: copied(cache, made.url, commit, tmp_path / f"copy{n}"), range(8)
        )
        assert list(found) == ["1"] * 8
    assert server.fetches() == 1


def _copy(folder: Path, url: str, commit: str, target: Path) -> None:
    TemplateCache(folder, entries=1).copy(Repository(url), commit, target, nothing)


def test_several_processes_share_it_though_it_holds_only_one(server, made, tmp_path):
    commits = [made.write({"a": str(n)}, tag=f"v{n}") for n in range(3)]
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(
            target=_copy, args=(tmp_path / "cache", made.url, commit, tmp_path / f"{n}-{again}")
        )
        for n, commit in enumerate(commits)
        for again in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 6
    for n in range(3):
        for again in range(2):
            assert (tmp_path / f"{n}-{again}" / "a").read_text() == str(n)


def test_those_used_longest_ago_make_room(made, tmp_path):
    cache = TemplateCache(tmp_path / "cache", entries=2)
    commits = [made.write({"a": str(n)}, tag=f"v{n}") for n in range(3)]
    for age, commit in ((30, commits[0]), (20, commits[1])):
        copied(cache, made.url, commit, tmp_path / commit)
        then = time.time() - age
        os.utime(cache.folder / _key(made.url, commit), (then, then))
    copied(cache, made.url, commits[0], tmp_path / "again")  # used: now the second is the oldest
    copied(cache, made.url, commits[2], tmp_path / "third")
    assert left(cache) == sorted(_key(made.url, commit) for commit in (commits[0], commits[2]))


def test_its_size_is_bounded_but_the_newest_is_kept(made, tmp_path):
    cache = TemplateCache(tmp_path / "cache", size=1_000)
    for n in range(3):
        commit = made.write({"a": "x" * (400 + 500 * n)}, tag=f"v{n}")
        copied(cache, made.url, commit, tmp_path / commit)
    assert left(cache) == [_key(made.url, commit)]


def test_one_that_is_being_copied_is_not_removed(made, tmp_path):
    cache = TemplateCache(tmp_path / "cache", entries=1)
    first, second = (made.write({"a": str(n)}, tag=f"v{n}") for n in range(2))
    copied(cache, made.url, first, tmp_path / "one")
    lock = cache.folder / f".{_key(made.url, first)}.lock"
    held = try_lock(lock, exclusive=False)
    assert held is not None
    copied(cache, made.url, second, tmp_path / "two")
    assert (cache.folder / _key(made.url, first)).exists()
    unlock(lock, held)


def test_an_entry_without_its_description_is_fetched_again(server, made, tmp_path):
    cache = TemplateCache(tmp_path / "cache")
    commit = made.write({"a": "1"})
    copied(cache, made.url, commit, tmp_path / "one")
    (cache.folder / _key(made.url, commit) / "about.json").unlink()
    assert copied(cache, made.url, commit, tmp_path / "two") == "1"
    assert server.fetches() == 2


def test_a_failed_fetch_leaves_nothing(server, made, tmp_path):
    cache = TemplateCache(tmp_path / "cache")
    commit = made.write({"a": "1"})
    server.answer["/tpl.git"] = ("500 Internal Server Error", [], b"")
    with pytest.raises(ApplicationError):
        copied(cache, made.url, commit, tmp_path / "one")
    assert left(cache) == []


def fetchers(of: psutil.Process) -> list[psutil.Process]:
    mine = of.children(recursive=True)
    return [one for one in mine if template_fetch._MODULE in " ".join(one.cmdline())]


def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_in_the_way(server, made, tmp_path):
    cache = TemplateCache(tmp_path / "cache")
    commit = made.write({"a": "1"})
    server.wait = 600
    process = multiprocessing.get_context("spawn").Process(
        target=_copy, args=(cache.folder, made.url, commit, tmp_path / "one")
    )
    process.start()
    worker = psutil.Process(process.pid)
    end = time.monotonic() + 60
    while not (found := fetchers(worker)) or not server.paths:
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(worker.pid, signal.SIGKILL)
    process.join(20)
    assert any(name.endswith(".new") for name in left(cache))
    server.wait = 0
    assert copied(cache, made.url, commit, tmp_path / "two") == "1"
    assert left(cache) == [_key(made.url, commit)]
    for one in found:
        one.kill()


def test_whoever_waits_for_another_beats_and_can_be_cancelled(server, made, tmp_path):
    cache = TemplateCache(tmp_path / "cache")
    commit = made.write({"a": "1"})
    cache.folder.mkdir()
    lock = cache.folder / f".{_key(made.url, commit)}.lock"
    held = try_lock(lock, exclusive=True)
    assert held is not None
    beats: list[Any] = []

    def beat() -> None:
        beats.append(threading.get_ident())
        if len(beats) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        cache.copy(Repository(made.url), commit, tmp_path / "one", beat)
    unlock(lock, held)
    assert copied(cache, made.url, commit, tmp_path / "two") == "1"


def test_a_folder_that_cannot_be_written_is_said(made, tmp_path):
    (tmp_path / "cache").write_text("a file")
    commit = made.write({"a": "1"})
    with pytest.raises(ApplicationError, match="Cannot store the template of") as caught:
        copied(TemplateCache(tmp_path / "cache"), made.url, commit, tmp_path / "one")
    assert caught.value.details[0]["remedy"]
