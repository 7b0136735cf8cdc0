"""Templates are read from real Git servers, in processes that end within bounds."""

from __future__ import annotations

import signal
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path
from random import Random

import psutil
import pytest
from dulwich.objects import Blob, Commit, Tree
from dulwich.refs import Ref
from temporalio.exceptions import ApplicationError
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from stepway.activities.templates import errors as template_errors
from stepway.activities.templates import fetch as template_fetch
from stepway.activities.templates.fetch import Access, Repository, Version, fetch, resolve
from stepway.activities.templates.fetch_failure import Failed, Failure
from stepway.activities.templates.fetch_process import _failures, _whole_answers
from tests.support.gitserver import (
    EXECUTABLE,
    LINK,
    SUBMODULE,
    GitServer,
    certificate,
    git_server,
)
from tests.support.gitserver import Repository as Served

USER, PASSWORD = "bot", "s3cret-of-the-bot"


@pytest.fixture
def server() -> Iterator[GitServer]:
    with git_server() as server:
        yield server


def nothing() -> None:
    """Take no notice of heartbeats."""


def refused(repository: Repository, ref: str = "", *, retried: bool = False) -> tuple[str, str]:
    """The error and its remedy."""
    with pytest.raises(ApplicationError) as caught:
        resolve(repository, ref, nothing)
    assert caught.value.non_retryable is not retried
    remedy = caught.value.details[0]["remedy"]
    assert remedy
    return caught.value.message, remedy


def test_a_ref_is_a_tag_a_branch_or_a_commit_and_none_is_the_newest_release(server, tmp_path):
    made = server.add("acme/tpl.git", tmp_path / "git")
    one = made.write({"a": "1"}, tag="v1.9")
    two = made.write({"a": "2"}, tag="v1.10", annotated=True)
    three = made.write({"a": "3"}, tag="v2.0rc1")
    four = made.write({"a": "4"})
    repository = Repository(made.url)
    found = {ref: resolve(repository, ref, nothing) for ref in ("", "v1.9", "v1.10", "main", three)}
    assert found == {
        "": Version(two, "v1.10"),
        "v1.9": Version(one, "v1.9"),
        "v1.10": Version(two, "v1.10"),
        "main": Version(four, four),
        three: Version(three, "v2.0rc1"),
    }


def test_without_a_release_the_default_branch_is_taken(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    made.write({"a": "1"}, tag="v1.0rc1")
    commit = made.write({"a": "2"})
    made.write({"a": "3"}, branch="other")
    assert resolve(Repository(made.url), "", nothing) == Version(commit, commit)


def test_a_commit_is_fetched_whole_with_modes_links_and_odd_names(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    files = {
        "bin/run": (EXECUTABLE, b"#!/bin/sh\n"),
        "link": (LINK, b"bin/run"),
        "größe 文.txt": "text",
        "empty": b"",
        "binary": bytes(range(256)),
        "vendor/lib": (SUBMODULE, b"1" * 40),
    }
    commit = made.write(files)
    old = made.write({"later": "x"})
    made.write({"later": "y"})
    for wanted in (commit, old):
        target = tmp_path / wanted
        target.mkdir()
        done = fetch(Repository(made.url), wanted, target, nothing)
        got = target / "files"
        assert done["files"] == len(list(got.rglob("*")))
        assert (got / "later").exists() == (wanted == old)
    assert (got / "bin" / "run").stat().st_mode & 0o777 == 0o755
    assert (got / "empty").stat().st_mode & 0o777 == 0o644
    assert (got / "link").readlink() == Path("bin/run")
    assert (got / "größe 文.txt").read_text() == "text"
    assert (got / "binary").read_bytes() == bytes(range(256))
    assert list((got / "vendor" / "lib").iterdir()) == []


def test_only_the_commit_of_a_tag_is_fetched_not_its_history(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    made.write({"large": b"\x00" * 3_000_000})
    commit = made.write({"large": b""}, tag="v1", annotated=True)
    (tmp_path / "a").mkdir()
    fetch(Repository(made.url), commit, tmp_path / "a", nothing)
    assert server.fetches() == 1
    assert server.sent < 100_000


def test_a_missing_ref_names_the_nearest_tags(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    for tag in ("v1.0.0", "v1.1.0", "v2.0.0", "stable"):
        made.write({"a": tag}, tag=tag)
    message, remedy = refused(Repository(made.url), "v1.1")
    assert f"{made.url} has no tag, branch or commit 'v1.1'" in message
    assert "v1.1.0" in remedy
    assert "v2.0.0" in refused(Repository(made.url), "nightly-x")[1]
    assert "40 digits" in refused(Repository(made.url), "0123abc")[1]


def test_a_commit_that_is_gone_is_said(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    made.write({"a": "1"})
    (tmp_path / "a").mkdir()
    with pytest.raises(ApplicationError, match=f"does not have the commit {'1' * 40}") as caught:
        fetch(Repository(made.url), "1" * 40, tmp_path / "a", nothing)
    assert caught.value.non_retryable


def test_a_private_repository_is_read_with_its_credential(server, tmp_path):
    made = server.add("acme/private.git", tmp_path / "git")
    commit = made.write({"a": "1"})
    server.private["acme/private.git"] = f"{USER}:{PASSWORD}"
    access = Access("bot-token", USER, PASSWORD)
    assert resolve(Repository(made.url, access), "main", nothing).commit == commit
    message, remedy = refused(Repository(made.url))
    assert "asks for a sign-in" in message
    assert "`credential`" in remedy
    wrong = Access("bot-token", USER, "wrong-password")
    message, remedy = refused(Repository(made.url, wrong))
    assert "refused the credential 'bot-token'" in message
    assert "wrong-password" not in message + remedy + repr(wrong)


@pytest.mark.parametrize(
    ("status", "retried", "part"),
    [
        ("404 Not Found", False, "does not exist, or may not be seen"),
        ("403 Forbidden", False, "answered HTTP 403"),
        ("408 Request Timeout", True, "answered HTTP 408"),
        ("425 Too Early", True, "answered HTTP 425"),
        ("429 Too Many Requests", True, "answered HTTP 429"),
        ("502 Bad Gateway", True, "answered HTTP 502"),
    ],
)
def test_what_a_host_answers_is_said(server, tmp_path, status, retried, part):
    made = server.add("tpl.git", tmp_path / "git")
    server.answer["/tpl.git"] = (status, [("Retry-After", "7")], b"<html>no</html>")
    assert part in refused(Repository(made.url), retried=retried)[0]


@pytest.mark.parametrize("most", [0, 3, 30, 60, 140, 300])
def test_a_list_of_refs_that_ends_early_is_read_again(server, tmp_path, most):
    made = server.add("tpl.git", tmp_path / "git")
    commit = made.write({"a": "1"})
    server.cut["/info/refs"] = most
    assert "Cannot reach the template's" in refused(Repository(made.url), "main", retried=True)[0]
    server.cut.clear()
    assert resolve(Repository(made.url), "main", nothing).commit == commit


@pytest.mark.parametrize("most", [0, 2, 60, 250, 700, 2000])
def test_files_that_end_early_are_fetched_again(server, tmp_path, most):
    made = server.add("tpl.git", tmp_path / "git")
    commit = made.write({"a": Random(1).randbytes(3_000)})
    server.cut["/git-upload-pack"] = most
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with pytest.raises(ApplicationError, match="Cannot reach the template's repository") as caught:
        fetch(Repository(made.url), commit, tmp_path / "one", nothing)
    assert not caught.value.non_retryable
    server.cut.clear()
    fetch(Repository(made.url), commit, tmp_path / "two", nothing)
    assert (tmp_path / "two" / "files" / "a").stat().st_size == 3_000


@pytest.mark.parametrize(
    "error",
    [
        EOFError(),
        AssertionError(),
        zlib.error("incomplete"),
        ProtocolError("Connection broken", IncompleteRead(b"x", 10)),
        ReadTimeoutError(HTTPConnectionPool("h"), "/", "Read timed out."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_connection_that_breaks_while_it_is_read_is_unreachable(error):
    with pytest.raises(Failed) as caught, _failures(), _whole_answers():
        raise error
    assert caught.value.failure == Failure.UNREACHABLE


def test_a_rate_limit_is_waited_for(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    server.answer["/tpl.git"] = ("429 Too Many Requests", [("Retry-After", "7")], b"")
    with pytest.raises(ApplicationError) as caught:
        resolve(Repository(made.url), "", nothing)
    assert caught.value.next_retry_delay is not None
    assert caught.value.next_retry_delay.total_seconds() == 7


def test_a_page_in_place_of_a_repository_is_said(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    server.answer["/tpl.git"] = ("200 OK", [("Content-Type", "text/html")], b"<html>sign in</html>")
    assert "does not answer as a Git repository" in refused(Repository(made.url))[0]


def test_no_redirect_to_another_host_is_followed(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    commit = made.write({"a": "1"})
    with git_server() as other:
        elsewhere = other.add("tpl.git", tmp_path / "other")
        elsewhere.write({"a": "1"})
        place = f"{other.url}/tpl.git/info/refs?service=git-upload-pack"
        server.answer["/old.git"] = ("301 Moved Permanently", [("Location", place)], b"")
        message, remedy = refused(Repository(f"{server.url}/old.git", Access("c", USER, PASSWORD)))
        assert f"has moved to {other.url}/tpl.git" in message
        assert "new URL" in remedy
        assert other.paths == []
    # On the same host it is: GitLab answers so where `.git` is missing.
    place = f"{made.url}/info/refs?service=git-upload-pack"
    server.answer = {"/old.git": ("301 Moved Permanently", [("Location", place)], b"")}
    assert resolve(Repository(f"{server.url}/old.git"), "main", nothing).commit == commit


def test_a_host_that_cannot_be_reached_is_tried_again():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message, remedy = refused(Repository(f"http://127.0.0.1:{port}/tpl.git"), retried=True)
    assert f"Cannot reach the template's repository http://127.0.0.1:{port}/tpl.git" in message
    assert "127.0.0.1" in remedy


def test_an_unknown_certificate_is_said_and_a_given_authority_is_trusted(tmp_path):
    authority = certificate(tmp_path)
    with git_server(tmp_path / "tls.pem") as server:
        made = server.add("tpl.git", tmp_path / "git")
        commit = made.write({"a": "1"})
        message, remedy = refused(Repository(made.url))
        assert "The certificate of 127.0.0.1 is not trusted" in message
        assert "SSL_CERT_FILE" in remedy
        access = Access(ca=authority)
        assert resolve(Repository(made.url, access), "main", nothing).commit == commit


def test_an_empty_repository_is_said(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    assert "is empty" in refused(Repository(made.url))[0]


def test_a_repository_of_this_machine_is_read(tmp_path):
    with git_server() as server:
        made = server.add("tpl.git", tmp_path / "git")
        commit = made.write({"a": "1"}, tag="v1")
    repository = Repository(f"file://{tmp_path / 'git'}")
    assert resolve(repository, "", nothing) == Version(commit, "v1")
    (tmp_path / "a").mkdir()
    fetch(repository, commit, tmp_path / "a", nothing)
    assert (tmp_path / "a" / "files" / "a").read_text() == "1"
    gone = Repository(f"file://{tmp_path / 'none'}")
    assert "does not exist" in refused(gone)[0]


def test_ssh_that_is_not_installed_or_does_not_connect_is_said(tmp_path, monkeypatch):
    repository = Repository("ssh://git@127.0.0.1:1/acme/tpl.git", Access("k", key="a key"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "ssh is not installed" in refused(repository)[0]
    program = tmp_path / "ssh"
    for said, part, retried in (
        ("Host key verification failed.", "SSH key of 127.0.0.1 is not known", False),
        ("git@127.0.0.1: Permission denied (publickey).", "refused the credential 'k'", False),
        ("ssh: connect to host 127.0.0.1 port 1: Connection refused", "Cannot reach", True),
        ("ERROR: Repository not found.", "does not exist", False),
        ("Timeout, server 127.0.0.1 not responding.", "Cannot reach", True),
        ("Connection to 127.0.0.1 closed by remote host.", "Cannot reach", True),
        ("client_loop: send disconnect: Broken pipe", "Cannot reach", True),
        ("", "Cannot reach", True),
    ):
        program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 255\n")
        program.chmod(0o755)
        assert part in refused(repository, retried=retried)[0]


def test_a_large_repository_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(template_fetch, "BYTES", 1 << 20)
    made = server.add("tpl.git", tmp_path / "git")
    commit = made.write({"large": b"\x00" * (2 << 20)})
    (tmp_path / "a").mkdir()
    with pytest.raises(ApplicationError, match="has over 1 MB"):
        fetch(Repository(made.url), commit, tmp_path / "a", nothing)


def nested(made: Served, levels: int, width: int) -> str:
    """Commit a tree of that many levels, with this number of folders in each folder."""
    tree = Tree()
    for _ in range(levels):
        made.repo.object_store.add_object(tree)
        outer = Tree()
        for number in range(width):
            outer.add(b"%d" % number, 0o040000, tree.id)
        tree = outer
    return committed(made, tree)


def committed(made: Served, tree: Tree) -> str:
    """Commit a tree to the main branch."""
    commit = Commit()
    commit.tree = tree.id
    commit.author = commit.committer = b"Ada <ada@example.org>"
    commit.author_time = commit.commit_time = commit.author_timezone = commit.commit_timezone = 0
    commit.message = b"m"
    for entry in (tree, commit):
        made.repo.object_store.add_object(entry)
    made.repo.refs[Ref(b"refs/heads/main")] = commit.id
    return commit.id.decode()


@pytest.mark.parametrize("what", ["folders", "submodules", "bytes"])
def test_folders_and_submodules_count_as_files(server, tmp_path, monkeypatch, what):
    made = server.add("tpl.git", tmp_path / "git")
    if what == "bytes":
        monkeypatch.setattr(template_fetch, "BYTES", 1 << 20)
    else:
        monkeypatch.setattr(template_fetch, "FILES", 500)
    if what == "submodules":
        commit = made.write({f"m{n}": (SUBMODULE, b"1" * 40) for n in range(501)})
    else:
        commit = nested(made, levels=4, width=6)
    target = tmp_path / "a"
    target.mkdir()
    with pytest.raises(ApplicationError, match="has over") as caught:
        fetch(Repository(made.url), commit, target, nothing)
    assert caught.value.non_retryable
    assert len(list((target / "files").rglob("*"))) <= 500


def one_entry(made: Served, mode: int, data: bytes) -> str:
    blob, tree = Blob.from_string(data), Tree()
    made.repo.object_store.add_object(blob)
    tree.add(b"odd", mode, blob.id)
    return committed(made, tree)


@pytest.mark.parametrize(
    ("commit_of", "said"),
    [
        (lambda made: nested(made, 1_500, 1), "is below more than 100 folders"),
        (lambda made: one_entry(made, LINK, b""), "odd is a link without a valid target"),
        (lambda made: one_entry(made, LINK, b"a\0b"), "odd is a link without a valid target"),
        (lambda made: one_entry(made, LINK, b"x" * 5_000), "odd has a name or target that is too"),
        (lambda made: one_entry(made, 0o040000, b"x"), "odd is not the tree that"),
        (lambda made: one_entry(made, 0o040000, b""), "odd is not the tree that"),
        (lambda made: made.write({"x" * 300: "1"}), "xxx has a name or target that is too long"),
    ],
    ids=["deep", "empty-link", "odd-link", "long-link", "blob", "empty-blob", "long-name"],
)
def test_what_no_folder_can_hold_is_said(server, tmp_path, commit_of, said):
    made = server.add("tpl.git", tmp_path / "git")
    commit = commit_of(made)
    (tmp_path / "a").mkdir()
    with pytest.raises(ApplicationError, match="has an entry that cannot be written") as caught:
        fetch(Repository(made.url), commit, tmp_path / "a", nothing)
    assert said in caught.value.message
    assert caught.value.non_retryable


def fetchers() -> list[psutil.Process]:
    mine = psutil.Process().children(recursive=True)
    return [one for one in mine if template_fetch._MODULE in " ".join(one.cmdline())]


def test_time_is_bounded_and_the_process_ends(server, tmp_path, monkeypatch):
    monkeypatch.setattr(template_fetch, "SECONDS", 2)
    made = server.add("tpl.git", tmp_path / "git")
    server.wait = 60
    with pytest.raises(ApplicationError, match="was not read within 2 s"):
        resolve(Repository(made.url), "", nothing)
    assert not fetchers()


def test_a_cancel_ends_the_process(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    server.wait = 60
    beats: list[float] = []

    def beat() -> None:
        beats.append(time.monotonic())
        if len(beats) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        resolve(Repository(made.url), "", beat)
    assert not fetchers()


def test_a_process_that_is_killed_is_said(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    server.wait = 60

    def kill() -> None:
        while not (found := fetchers()):
            time.sleep(0.05)
        found[0].send_signal(signal.SIGKILL)

    threading.Thread(target=kill).start()
    assert "ended with signal 9" in refused(Repository(made.url), retried=True)[0]
    assert not fetchers()


def test_the_secret_is_in_no_argument_and_no_variable_of_the_process(server, tmp_path):
    made = server.add("tpl.git", tmp_path / "git")
    server.wait = 60
    seen: list[str] = []

    def look() -> None:
        for process in fetchers():
            seen.append(" ".join(process.cmdline()) + str(process.environ()))
        if seen:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        resolve(Repository(made.url, Access("c", USER, PASSWORD)), "", look)
    assert PASSWORD not in "".join(seen)


@pytest.mark.parametrize(("given", "seconds"), [("7", 7.0), ("", 60.0), ("\u00b2", 60.0)])
def test_a_wait_that_is_no_number_is_the_usual_one(given, seconds):
    assert template_errors._seconds(given) == seconds
