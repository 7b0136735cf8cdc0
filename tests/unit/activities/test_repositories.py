"""Repositories that many projects write to stay small."""

from __future__ import annotations

from pathlib import Path

from dulwich.repo import Repo

from stepway.activities.git.repositories import FILE_MODE, add_files, create_bare, pack_when_many


def loose(path: Path) -> int:
    return sum(1 for file in (path / "objects").glob("??/*") if file.is_file())


def test_many_loose_objects_are_packed_and_stay_readable(tmp_path: Path) -> None:
    path = tmp_path / "gitops.git"
    create_bare(path, "gitops")
    with Repo(str(path)) as repo:
        made = add_files(repo, ((f"f{n}", b"%d" % n, FILE_MODE) for n in range(1_500)))
    pack_when_many(path, 10_000)
    assert loose(path) == 1_500
    pack_when_many(path, 300)
    assert loose(path) == 0
    with Repo(str(path)) as repo:
        for number, (_, _, blob) in enumerate(made):
            assert blob is not None
            assert repo[blob].as_raw_string() == b"%d" % number
