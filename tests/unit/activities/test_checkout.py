"""Files that no clone could hold are refused; others are stored in the form that git gives them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from dulwich.repo import Repo
from temporalio.exceptions import ApplicationError

from stepway.activities.git.checkout import (
    LINK,
    check_out_clean,
    normalized,
    refuse_unusable,
)
from stepway.activities.git.repositories import add_commit, add_files, changed_tree

FILE = 0o100644


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ({"vendor/lib/.git": FILE}, "cannot check out the name '.git'"),
        ({"vendor/.GIT/config": FILE}, "cannot check out the name '.GIT'"),
        ({"git~1": FILE}, "cannot check out"),
        ({".g\u200cit/x": FILE}, "cannot check out"),
        ({"README": FILE, "Readme": FILE}, "same name on macOS and Windows"),
        ({"Docs/a": FILE, "docs/b": FILE}, "same name on macOS and Windows"),
        ({"é": FILE, "e\u0301": FILE}, "same name on macOS and Windows"),
        ({"/".join(["a" * 200] * 6): FILE}, "longer than 1,000 bytes"),
        ({"é" * 128: FILE}, "longer than 255 bytes"),
        ({"caf\udce9.txt": FILE}, "caf\\xe9.txt: its name is not valid UTF-8"),
        ({".gitmodules": LINK}, "must not be a link"),
    ],
)
def test_a_path_that_no_clone_could_hold_is_refused(paths, reason):
    with pytest.raises(ApplicationError) as caught:
        refuse_unusable(paths)
    assert reason in caught.value.message
    assert caught.value.non_retryable
    assert caught.value.details[0]["remedy"]


def test_usual_paths_are_taken():
    names = [".github/x", ".gitignore", "git", "a.git", "größe/名前", "a b", "a/README", "b/readme"]
    refuse_unusable(dict.fromkeys(names, FILE) | {"link": LINK})


def test_line_ends_are_stored_as_git_stores_them():
    attributes = {
        ".gitattributes": b"* text=auto\n*.bat text eol=crlf\n*.png binary\n",
        "raw/.gitattributes": b"* -text\n",
    }
    files = {"a.txt": b"1\r\n2\r\n", "b.bat": b"x\r\n", "c.png": b"\r\n", "raw/d.txt": b"\r\n"}
    files |= {"e.bin": b"\x00\r\n", "f.txt": b"1\r2\r\n"}
    given = [(name, content, FILE) for name, content in files.items()]
    stored = {name: content for name, content, _ in normalized(given, attributes)}
    assert stored == files | {"a.txt": b"1\n2\n", "b.bat": b"x\n"}


def commit(folder: Path, files: dict[str, bytes], normalize: bool = True) -> str:
    folder.mkdir()
    with Repo.init_bare(str(folder)) as repo:
        given = [(name, content, FILE) for name, content in files.items()]
        attributes = {n: c for n, c in files.items() if n.endswith(".gitattributes")}
        stored = normalized(given, attributes) if normalize else given
        tree = changed_tree(repo, None, add_files(repo, stored))
        return add_commit(repo, tree, None, message="x", project_id="p", at=0).decode()


def test_a_commit_that_git_checks_out_as_it_is_passes(tmp_path):
    files = {
        ".gitattributes": b"* text=auto\n*.bat text eol=crlf\n",
        "a.txt": b"1\r\n",
        "b.bat": b"x\r\n",
        "c.txt": b"1\r2\r\n",
        "d": b"\x00\r\n",
        '\xe9 {"}': b"",
    }
    check_out_clean(tmp_path / "r", commit(tmp_path / "r", files), lambda: None)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"vendor/.git": b"gitdir: x"}, "vendor/.git"),
        ({".gitattributes": b"* text\n", "a b.txt": b"1\r\n"}, "a b.txt: a fresh clone shows it"),
        ({".gitmodules": b'[submodule "a"]\n\turl = -x\n\tpath = a\n'}, "gitmodulesUrl"),
    ],
)
def test_what_git_itself_stumbles_over_is_refused_with_its_words(tmp_path, files, reason):
    made = commit(tmp_path / "r", files, normalize=False)
    with pytest.raises(ApplicationError) as caught:
        check_out_clean(tmp_path / "r", made, lambda: None)
    assert reason in caught.value.message
    assert caught.value.non_retryable
    refs = subprocess.run(["git", "for-each-ref"], cwd=tmp_path / "r", capture_output=True)
    assert refs.stdout == b""
