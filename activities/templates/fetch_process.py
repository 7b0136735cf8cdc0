"""Reads a Git repository in a process of its own: `python -m … ANSWER`, with the request as JSON.

The request is on standard input, because it may hold a secret. Its `action` is `resolve` (find the
commit of a ref) or `fetch` (write the files of a commit into a folder). The answer is a file of
JSON; after a failure it has `failure`, a Failure, and what is known about it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import ssl
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import urllib3
from dulwich.client import GitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.index import (
    validate_path_element_default,
    validate_path_element_hfs,
    validate_path_element_ntfs,
)
from dulwich.object_store import BaseObjectStore, peel_sha
from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.repo import Repo
from packaging.version import InvalidVersion, Version
from urllib3.exceptions import HTTPError, ProxyError

from stepway.activities.git.child import end_with_parent
from stepway.activities.git.connection import SignIn, connected
from stepway.activities.git.http_client import Answered, Moved, NotGit
from stepway.activities.git.watch import Limits, TransferTimedOut
from stepway.activities.templates.fetch_failure import Failed, Failure

_FOLDER, _LINK, _SUBMODULE = 0o040000, 0o120000, 0o160000
_TAGS, _HEADS, _PEELED = "refs/tags/", "refs/heads/", "^{}"
_SHOWN = 500
_DEEPEST = 100
_FOLDER_BYTES = 4096
_COMMIT_DIGITS = 40


_Kind = TypeVar("_Kind", Blob, Tree)


def main(answer: Path) -> int:
    """Do what is requested; 0 if that went well, 1 with the failure in `answer`."""
    end_with_parent()
    request = json.loads(sys.stdin.read())
    # Of a worker that died; while it lives, its own limit comes first.
    signal.alarm(request["seconds"])
    _limit(resource.RLIMIT_AS, request["memory"])
    _limit(resource.RLIMIT_FSIZE, request["bytes"])
    try:
        with _failures(), _connected(request) as (client, path):
            refs = _refs(client, path)
            done: Mapping[str, Any]
            if request["action"] == "resolve":
                done = _resolve(refs, request["ref"])
            else:
                done = _fetch(client, path, refs, request)
    except Failed as error:
        answer.write_text(json.dumps({"failure": error.failure, **error.known}))
        return 1
    answer.write_text(json.dumps(done))
    return 0


def _connected(request: Mapping[str, Any]) -> AbstractContextManager[tuple[GitClient, bytes]]:
    names = ("username", "password", "ca", "key", "known_hosts")
    sign_in = SignIn(**{name: request[name] for name in names})
    limits = Limits(request["silent"], request["seconds"])
    # The group of this process ends with it, and ssh with the group.
    return connected(request["url"], sign_in, lambda: None, limits, own_group=False)


def _limit(what: int, limit: int) -> None:
    with suppress(ValueError, OSError):  # some systems know no such limit
        resource.setrlimit(what, (limit, limit))


# Refs


def _refs(client: GitClient, path: bytes) -> dict[str, str]:
    """The IDs of HEAD, branches and tags; `NAME^{}` is the commit of an annotated tag."""
    with _whole_answers():
        found = client.get_refs(path)
    return {
        bytes(name).decode(errors="replace"): bytes(value).decode()
        for name, value in found.refs.items()
        if value is not None
    }


def _resolve(refs: Mapping[str, str], ref: str) -> dict[str, str]:
    """The commit of a ref, and its version: the name of a tag, or the commit itself."""
    tags = _versions(refs)
    if not any(name == "HEAD" or name.startswith((_TAGS, _HEADS)) for name in refs):
        raise Failed(Failure.EMPTY)
    if not ref:
        return _newest(refs, tags)
    if f"{_TAGS}{ref}" in refs:
        return {"commit": _peeled(refs, f"{_TAGS}{ref}"), "version": ref}
    commit = refs.get(f"{_HEADS}{ref}")
    if (
        commit is None
        and len(ref) == _COMMIT_DIGITS
        and set(ref.lower()) <= set("0123456789abcdef")
    ):
        commit = ref.lower()
    if commit is None:
        branches = [name.removeprefix(_HEADS) for name in refs if name.startswith(_HEADS)]
        raise Failed(Failure.REF_MISSING, tags=tags, branches=sorted(branches))
    return {"commit": commit, "version": _version_of(refs, tags, commit)}


def _newest(refs: Mapping[str, str], tags: list[str]) -> dict[str, str]:
    """What Copier takes: the newest release, else the default branch."""
    releases = [tag for tag in tags if (version := _version(tag)) and not version.is_prerelease]
    if releases:
        return {"commit": _peeled(refs, f"{_TAGS}{releases[0]}"), "version": releases[0]}
    commit = refs.get("HEAD") or refs.get(f"{_HEADS}main") or refs.get(f"{_HEADS}master")
    if commit is None:
        branches = [name.removeprefix(_HEADS) for name in refs if name.startswith(_HEADS)]
        raise Failed(Failure.REF_MISSING, tags=tags, branches=sorted(branches))
    return {"commit": commit, "version": _version_of(refs, tags, commit)}


def _versions(refs: Mapping[str, str]) -> list[str]:
    """The names of the tags, the newest version first, then those that are no versions."""
    names = [
        name.removeprefix(_TAGS)
        for name in refs
        if name.startswith(_TAGS) and not name.endswith(_PEELED)
    ]
    versions = [(version, name) for name in names if (version := _version(name))]
    others = sorted(name for name in names if _version(name) is None)
    return [name for _, name in sorted(versions, reverse=True)] + others


def _version(name: str) -> Version | None:
    try:
        return Version(name)
    except InvalidVersion:
        return None


def _version_of(refs: Mapping[str, str], tags: list[str], commit: str) -> str:
    return next((tag for tag in tags if _peeled(refs, f"{_TAGS}{tag}") == commit), commit)


def _peeled(refs: Mapping[str, str], name: str) -> str:
    return refs.get(f"{name}{_PEELED}") or refs[name]


# Files


def _fetch(
    client: GitClient, path: bytes, refs: Mapping[str, str], request: Mapping[str, Any]
) -> dict[str, int]:
    commit = ObjectID(request["commit"].encode())
    target = Path(request["target"])
    with TemporaryDirectory(prefix="stepway-", dir=target) as name, Repo.init_bare(name) as repo:
        _fetch_into(repo, client, path, refs, commit)
        writer = _Writer(repo.object_store, request["bytes"], request["files"])
        (target / "files").mkdir()
        writer.write(_commit(repo, commit).tree, target / "files", "")
    return {"files": writer.files, "bytes": writer.bytes}


def _fetch_into(
    repo: Repo, client: GitClient, path: bytes, refs: Mapping[str, str], commit: ObjectID
) -> None:
    """Fetch only that commit if the host gives it, else every branch and tag with its history."""
    tips = {
        name.removesuffix(_PEELED)
        for name, value in refs.items()
        if value.encode() == commit and name.removesuffix(_PEELED) in refs
    }
    # A host that gives only what it lists gives an annotated tag by the tag's own ID.
    wanted = ObjectID(refs[min(tips)].encode()) if tips else commit
    with suppress(GitProtocolError, HangupException, KeyError, Answered):
        _fetch_wanted(repo, client, path, [wanted], depth=1)
        if commit in repo.object_store:
            return
    every = {
        ObjectID(value.encode())
        for name, value in refs.items()
        if name.startswith((_TAGS, _HEADS)) and not name.endswith(_PEELED)
    }
    _fetch_wanted(repo, client, path, sorted(every), depth=None)
    if commit not in repo.object_store:
        raise Failed(Failure.COMMIT_MISSING)


def _fetch_wanted(
    repo: Repo, client: GitClient, path: bytes, wanted: list[ObjectID], depth: int | None
) -> None:
    with _whole_answers():
        client.fetch(path, repo, determine_wants=lambda refs, depth=None: wanted, depth=depth)


def _commit(repo: Repo, commit: ObjectID) -> Commit:
    _, found = peel_sha(repo.object_store, commit)
    if not isinstance(found, Commit):
        raise Failed(Failure.COMMIT_MISSING)
    return found


class _Writer:
    """Writes a tree as files, links and folders; counts them.

    A folder counts as a file of _FOLDER_BYTES, as does a submodule: a small repository can have
    millions of them.
    """

    def __init__(self, store: BaseObjectStore, most_bytes: int, most_files: int) -> None:
        self._store = store
        self._most_bytes = most_bytes
        self._most_files = most_files
        self.bytes = 0
        self.files = 0

    def write(self, tree_id: ObjectID, folder: Path, place: str) -> None:
        """Write a tree into a folder; `place` is its path in the repository, with a slash."""
        if place.count("/") > _DEEPEST:
            raise Failed(Failure.TREE, path=place, text=f"is below more than {_DEEPEST} folders")
        tree = self._object(tree_id, Tree, place)
        for name, mode, entry_id in tree.iteritems():
            assert name is not None and mode is not None and entry_id is not None
            path = f"{place}{name.decode(errors='backslashreplace')}"
            if not _usable(name):
                raise Failed(Failure.NAME, path=path)
            with _of_entry(path):
                self._write_entry(entry_id, mode, folder / os.fsdecode(name), path)

    def _write_entry(self, entry_id: ObjectID, mode: int, target: Path, path: str) -> None:
        if mode not in (_FOLDER, _SUBMODULE):
            self._write_file(self._object(entry_id, Blob, path).data, mode, target, path)
            return
        self._count(_FOLDER_BYTES)
        target.mkdir()
        if mode == _FOLDER:  # a submodule is empty, as in a clone; the renderer refuses it
            self.write(entry_id, target, f"{path}/")

    def _write_file(self, data: bytes, mode: int, target: Path, path: str) -> None:
        self._count(len(data))
        if mode == _LINK:
            if not data or b"\0" in data:
                raise Failed(Failure.TREE, path=path, text="is a link without a valid target")
            target.symlink_to(os.fsdecode(data))
            return
        with target.open("xb") as file:
            file.write(data)
        target.chmod(0o755 if mode & 0o100 else 0o644)

    def _count(self, size: int) -> None:
        self.files += 1
        self.bytes += size
        if self.files > self._most_files or self.bytes > self._most_bytes:
            raise Failed(Failure.TOO_LARGE)

    def _object(self, found_id: ObjectID, kind: type[_Kind], path: str) -> _Kind:
        try:
            found = self._store[found_id]
        except KeyError:
            found = None
        if not isinstance(found, kind):
            text = f"is not the {kind.__name__.lower()} that its folder says"
            raise Failed(Failure.TREE, path=path.rstrip("/") or "/", text=text)
        return found


@contextmanager
def _of_entry(path: str) -> Iterator[None]:
    """Turn what the system says of an entry's name or target into Failed."""
    try:
        yield
    except FileExistsError as error:
        raise Failed(Failure.TREE, path=path, text="is in its folder twice") from error
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
            raise
        text = "has a name or target that is too long or not valid"
        raise Failed(Failure.TREE, path=path[:_SHOWN], text=text) from error


def _usable(name: bytes) -> bool:
    return (
        b"/" not in name
        and validate_path_element_default(name)
        and validate_path_element_ntfs(name)
        and validate_path_element_hfs(name)
    )


# Failures


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what dulwich, urllib3 and the system raise into Failed."""
    try:
        yield
    except Failed:
        raise
    except Answered as error:
        raise Failed(
            _of_status(error.status), status=error.status, retry_after=error.retry_after
        ) from error
    except Moved as error:
        raise Failed(Failure.MOVED, to=error.to) from error
    except NotGit as error:
        raise Failed(Failure.NOT_GIT, text=str(error)) from error
    except TransferTimedOut as error:
        raise Failed(Failure.UNREACHABLE, text=f"it {error}") from error
    except NotGitRepository as error:
        raise Failed(Failure.NOT_FOUND) from error
    except (GitProtocolError, HTTPError) as error:
        raise _of_protocol(error) from error
    except FileNotFoundError as error:
        raise Failed(Failure.NO_SSH if error.filename == "ssh" else Failure.NOT_FOUND) from error
    except MemoryError as error:
        raise Failed(Failure.TOO_LARGE) from error
    except ssl.SSLError as error:
        raise Failed(Failure.CERTIFICATE, text=_text(error)) from error
    except OSError as error:
        raise _of_system(error) from error
    except Exception as error:
        # A host may answer anything.
        raise Failed(Failure.NOT_GIT, text=_text(error)) from error


@contextmanager
def _whole_answers() -> Iterator[None]:
    """Raise Failed for an answer that ends early, which dulwich reports in several ways."""
    try:
        yield
    except (EOFError, AssertionError, zlib.error) as error:
        raise Failed(Failure.UNREACHABLE, text="the connection ended too early") from error


def _of_status(status: int) -> Failure:
    if status == 407:
        return Failure.PROXY
    if status == 401:
        return Failure.UNAUTHORIZED
    if status in (404, 410):
        return Failure.NOT_FOUND
    return Failure.BUSY if status in (408, 425, 429) or status >= 500 else Failure.REFUSED


def _of_protocol(error: Exception) -> Failed:
    text = _text(error)
    cause: BaseException | None = error if isinstance(error, HTTPError) else error.__cause__
    while cause is not None:
        if isinstance(cause, ssl.SSLError | urllib3.exceptions.SSLError):
            return Failed(Failure.CERTIFICATE, text=_text(cause))
        if isinstance(cause, ProxyError) and "407" in str(cause):
            return Failed(Failure.PROXY)
        if isinstance(cause, HTTPError | OSError):
            reason = getattr(cause, "reason", None)
            if not isinstance(reason, BaseException):
                return Failed(Failure.UNREACHABLE, text=_text(cause))
            cause = reason
            continue
        cause = cause.__cause__
    said = str(error).casefold()
    for failure, parts in _SSH.items():
        if any(part in said for part in parts):
            return Failed(failure, text=text)
    # Whatever ssh or the host said: the connection ended before the answer did.
    ended = isinstance(error, HangupException) or _CUT.search(text)
    return Failed(Failure.UNREACHABLE if ended else Failure.NOT_GIT, text=text)


# What dulwich says of an answer that ends within a line or within its length.
_CUT = re.compile(r"does not match length prefix|length prefix: b'[0-9a-f]{1,3}'$")

# What ssh and the hosts behind it say.
_SSH = {
    Failure.HOST_KEY: ("host key verification failed", "no matching host key"),
    Failure.UNAUTHORIZED: ("permission denied", "access denied", "authentication failed"),
    Failure.UNREACHABLE: (
        "could not resolve",
        "connection refused",
        "timed out",
        "no route",
        "connection closed",
        "connection reset",
        "network is unreachable",
    ),
    Failure.NOT_FOUND: ("not found", "does not exist", "not appear to be a git repository"),
}


def _of_system(error: OSError) -> Failed:
    if error.errno == errno.EFBIG:
        return Failed(Failure.TOO_LARGE)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(Failure.DISK, text=error.strerror or "")
    return Failed(Failure.UNREACHABLE, text=_text(error))


def _text(error: BaseException) -> str:
    return " ".join(str(error).split())[:_SHOWN] or type(error).__name__


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
