"""The working tree of a project, in which its commands run: a checkout of main."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dulwich.diff_tree import tree_changes
from dulwich.index import update_working_tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from stepway.activities.beats import Beats
from stepway.activities.git.remote import Remote
from stepway.activities.git.repositories import LOCK_POLL, MAIN, head_of, project_of
from stepway.activities.locks import try_lock, unlock
from stepway.activities.project import ProjectRef, repository_path, working_tree_path
from stepway.activities.scratch import scratch


@asynccontextmanager
async def working_tree(
    data_dir: Path, project: ProjectRef, waiting: asyncio.Event
) -> AsyncIterator[Path]:
    """Create the working tree or update it to main's newest commit; yield its folder.

    Untracked files of earlier commands stay. The folder is empty while main has no commit.
    Commands share the folder; it is updated only while no command runs in it. `waiting` is set
    while another command prevents an update.
    """
    folder = working_tree_path(data_dir, project)
    repository = repository_path(data_dir, project)
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder.parent / f".{folder.name}.lock"
    while (shared := await _shared_if_current(lock, repository, folder, project)) is None:
        exclusive = try_lock(lock, exclusive=True)
        if exclusive is None:
            waiting.set()
            await asyncio.sleep(random.uniform(*LOCK_POLL))
        else:
            # A cancel does not stop the thread, which must keep the lock until it ends.
            update = asyncio.to_thread(_update, repository, folder, lock, exclusive)
            await asyncio.shield(update)
    waiting.clear()
    try:
        yield folder.resolve()
    finally:
        unlock(lock, shared)


@asynccontextmanager
async def fresh_clone(remote: Remote, branch: str, beats: Beats) -> AsyncIterator[Path]:
    """Yield a temporary folder with the branch checked out; it is empty without the branch."""
    with scratch() as outer:
        folder = outer / "work"
        folder.mkdir()
        await beats.in_thread(lambda: _clone(remote, branch, folder, beats))
        yield folder.resolve()


def _clone(remote: Remote, branch: str, folder: Path, beats: Beats) -> None:
    head = remote.visible_refs(beats.check).get(f"refs/heads/{branch}".encode())
    if head is None:
        return
    with Repo.init(str(folder), default_branch=branch.encode()) as clone:
        config = clone.get_config()
        config.set((b"remote", b"origin"), b"url", remote.git.url.encode())
        config.set((b"remote", b"origin"), b"fetch", b"+refs/heads/*:refs/remotes/origin/*")
        config.write_to_path()
        remote.fetch(clone, [head], beats.check, depth=1)
        clone.refs[Ref(f"refs/heads/{branch}".encode())] = head
        clone.get_worktree().reset_index()


async def _shared_if_current(
    lock: Path, repository: Path, folder: Path, project: ProjectRef
) -> int | None:
    """Return the shared lock if the folder is current and nobody updates it."""
    shared = try_lock(lock, exclusive=False)
    if shared is None:
        return None
    try:
        if await asyncio.to_thread(_is_current, repository, folder, project):
            return shared
    except BaseException:
        unlock(lock, shared)
        raise
    unlock(lock, shared)
    return None


def _is_current(repository: Path, folder: Path, project: ProjectRef) -> bool:
    if project_of(repository) != project.id:
        return True
    with Repo(str(repository)) as source:
        head = head_of(source)
    if head is None:
        return True
    if not (folder / ".git").is_dir():
        return False
    with Repo(str(folder)) as clone:
        before = head_of(clone)
    return before is not None and before.id == head.id


def _update(repository: Path, folder: Path, lock: Path, exclusive: int) -> None:
    try:
        _check_out(repository, folder)
    finally:
        unlock(lock, exclusive)


def _check_out(repository: Path, folder: Path) -> None:
    with Repo(str(repository)) as source, _open_clone(repository, folder) as clone:
        head, before = head_of(source), head_of(clone)
        if head is None or (before is not None and before.id == head.id):
            return
        source.fetch(clone)
        old = before.tree if before is not None else None
        changes = tree_changes(clone.object_store, old, head.tree)
        update_working_tree(clone, old, head.tree, changes, allow_overwrite_modified=True)
        # Last, so that an interrupted checkout is repeated.
        clone.refs[MAIN] = head.id


def _open_clone(repository: Path, folder: Path) -> Repo:
    if (folder / ".git").is_dir():
        return Repo(str(folder))
    clone = Repo.init(str(folder), default_branch=b"main")
    config = clone.get_config()
    config.set((b"remote", b"origin"), b"url", str(repository).encode())
    config.set((b"remote", b"origin"), b"fetch", b"+refs/heads/*:refs/remotes/origin/*")
    config.write_to_path()
    return clone
