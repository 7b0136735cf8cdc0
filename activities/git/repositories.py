"""Git repositories, with dulwich: no git program is needed.

Stepway writes the project's ID to the config of each repository (`[stepway] project = …`) and into
a trailer of each of its commits. A repeated step recognizes its earlier work by them.
"""

from __future__ import annotations

import random
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dulwich.errors import NotGitRepository
from dulwich.object_store import BaseObjectStore, commit_tree_changes
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from stepway.activities.git.locks import try_lock, unlock
from stepway_tracking.record.errors import step_error

MAIN = Ref(b"refs/heads/main")
FILE_MODE = 0o100644
LOOSE = 6_700
"""Loose objects of a repository that Git leaves alone, too."""

LOCK_TIMEOUT = 15.0
LOCK_POLL = (0.02, 0.1)
_IDENTITY = b"Stepway <stepway@localhost>"
_TRAILER = b"Stepway-Project: "
_SUBMODULE = 0o160000

# (path, mode, blob ID) to add a file; (path, None, None) to remove one.
Change = tuple[bytes, int | None, ObjectID | None]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the repository at `path` against other threads and processes.

    Raises step_error if it is not free within LOCK_TIMEOUT seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.parent / f".{path.name}.lock"
    end = time.monotonic() + LOCK_TIMEOUT
    while (descriptor := try_lock(file, exclusive=True)) is None:
        if time.monotonic() > end:
            raise step_error(
                f"The repository {path.name} stayed locked for {LOCK_TIMEOUT:.0f} s",
                remedy="Another step works on it; retry when that has ended.",
            )
        time.sleep(random.uniform(*LOCK_POLL))
    try:
        yield
    finally:
        unlock(file, descriptor)


def create_bare(path: Path, project_id: str) -> None:
    """Create an empty bare repository for the project at `path`, atomically.

    The caller holds its lock.
    """
    unfinished = path.with_name(f".{path.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with Repo.init_bare(str(unfinished), default_branch=b"main") as repo:
        config = repo.get_config()
        config.set((b"stepway",), b"project", project_id.encode())
        config.set((b"stepway",), b"created", str(int(time.time())).encode())
        config.write_to_path()
    unfinished.rename(path)


def pack_when_many(path: Path, most: int = LOOSE) -> None:
    """Pack the loose objects of the repository at `path` if there are more than about `most`.

    Each object is a file of at least 4 kB until it is packed. The caller holds the lock.
    """
    # As Git does: the objects are spread evenly over 256 folders, by the beginning of their IDs.
    some = path / "objects" / "17"
    if some.is_dir() and len(list(some.iterdir())) * 256 > most:
        with Repo(str(path)) as repo:
            repo.object_store.pack_loose_objects()


def project_of(path: Path) -> str | None:
    """Return the project ID of the repository at `path`; None if Stepway did not create it."""
    try:
        with Repo(str(path)) as repo:
            return _setting(repo, b"project")
    except NotGitRepository:
        return None


def created_at(repo: Repo) -> int:
    """Return when Stepway created the repository, in seconds since the epoch; 0 if unknown."""
    return int(_setting(repo, b"created") or 0)


def _setting(repo: Repo, name: bytes) -> str | None:
    config = repo.get_config()
    return config.get((b"stepway",), name).decode() if config.has_section((b"stepway",)) else None


def head_of(repo: Repo) -> Commit | None:
    """Return the newest commit of main; None if there is no main."""
    if MAIN not in repo.refs:
        return None
    head = repo[repo.refs[MAIN]]
    assert isinstance(head, Commit)
    return head


def commit_with_id(repo: Repo, commit_id: str) -> Commit | None:
    """Return the commit; None if the repository does not contain it."""
    try:
        found = repo[ObjectID(commit_id.encode())]
    except KeyError:
        return None
    return found if isinstance(found, Commit) else None


def is_made_for(commit: Commit, project_id: str) -> bool:
    """Whether Stepway created the commit for the project.

    The trailer alone is not enough: it stays when a person amends or rebases the commit, but the
    committer changes.
    """
    return (
        commit.committer == _IDENTITY
        and _TRAILER + project_id.encode() in commit.message.splitlines()
    )


def has_only_commits_for(repo: Repo, head: ObjectID, project_id: str) -> bool:
    """Whether Stepway created for the project each commit that leads to `head`, with `head`.

    False for an object that is no commit, and for a history of which `repo` has the newest part.
    """
    if not isinstance(repo[head], Commit):
        return False
    shallow = repo.get_shallow()
    return all(
        is_made_for(entry.commit, project_id) and entry.commit.id not in shallow
        for entry in repo.get_walker(include=[head])
    )


def add_files(repo: Repo, files: Iterable[tuple[str, bytes, int]]) -> list[Change]:
    """Store files `(path, content, mode)`; return them as changes to a tree."""
    changes: list[Change] = []
    for path, content, mode in files:
        blob = Blob.from_string(content)
        repo.object_store.add_object(blob)
        changes.append((path.encode(), mode, blob.id))
    return changes


def changed_tree(repo: Repo, head: Commit | None, changes: list[Change]) -> ObjectID:
    """Store the tree of `head` (an empty one for None) with the changes; return its id."""
    base = repo[head.tree] if head is not None else Tree()
    assert isinstance(base, Tree)
    if head is None:
        repo.object_store.add_object(base)
    return commit_tree_changes(repo.object_store, base, changes)


def folder_of(repo: Repo, commit: Commit, path: str) -> Tree | None:
    """Return the tree of a folder in a commit; None if the commit has no such folder."""
    tree = repo[commit.tree]
    assert isinstance(tree, Tree)
    try:
        _, found = tree.lookup_path(repo.object_store.__getitem__, path.encode())
    except KeyError:
        return None
    folder = repo[found]
    return folder if isinstance(folder, Tree) else None


def add_commit(
    repo: Repo, tree: ObjectID, parent: Commit | None, *, message: str, project_id: str, at: int
) -> ObjectID:
    """Store a commit without a branch. The same arguments create the same commit."""
    commit = Commit()
    commit.tree = tree
    commit.parents = [parent.id] if parent is not None else []
    commit.author = commit.committer = _IDENTITY
    commit.author_time = commit.commit_time = at
    commit.author_timezone = commit.commit_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = message.encode() + b"\n\n" + _TRAILER + project_id.encode() + b"\n"
    repo.object_store.add_object(commit)
    return commit.id


def new_objects(store: BaseObjectStore, new: ObjectID, old: ObjectID | None) -> list[ShaFile]:
    """Return the commits after `old` up to `new`, with the files that `old` does not have."""
    base = store[old] if old is not None and old in store else None
    base_tree = base.tree if isinstance(base, Commit) else None
    found: dict[bytes, ShaFile] = {}
    commit: ShaFile = store[new]
    while isinstance(commit, Commit) and commit.id != old:
        found[commit.id] = commit
        _add_tree(store, commit.tree, base_tree, found)
        parents = [parent for parent in commit.parents if parent in store]
        if not parents or parents[0] == old:
            break
        commit = store[parents[0]]
    return list(found.values())


def _add_tree(
    store: BaseObjectStore, tree_id: ObjectID, base_id: ObjectID | None, found: dict[bytes, ShaFile]
) -> None:
    if tree_id == base_id or tree_id in found:
        return
    tree = store[tree_id]
    assert isinstance(tree, Tree)
    found[tree_id] = tree
    base = store[base_id] if base_id is not None and base_id in store else None
    before: dict[bytes, tuple[int, ObjectID]] = {}
    if isinstance(base, Tree):
        before = {name: (mode, entry_id) for name, mode, entry_id in base.iteritems()}
    for name, mode, entry_id in tree.iteritems():
        if mode == _SUBMODULE or (mode, entry_id) == before.get(name):
            continue
        if stat.S_ISDIR(mode):
            was = before.get(name)
            folder = was[1] if was and stat.S_ISDIR(was[0]) else None
            _add_tree(store, entry_id, folder, found)
        else:
            found[entry_id] = store[entry_id]
