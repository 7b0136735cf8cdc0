"""The working tree of a project, in which its commands run: a checkout of main."""

from __future__ import annotations

from pathlib import Path

from dulwich.diff_tree import tree_changes
from dulwich.index import update_working_tree
from dulwich.repo import Repo

from stepway.activities.git.repositories import MAIN, head_of, locked, project_of
from stepway.activities.project import ProjectRef, repository_path, working_tree_path


def prepare_working_tree(data_dir: Path, project: ProjectRef) -> Path:
    """Create the working tree or update it to main's newest commit; return its folder.

    Untracked files of earlier commands stay. The folder is empty while main has no commit.
    """
    folder = working_tree_path(data_dir, project)
    repository = repository_path(data_dir, project)
    folder.mkdir(parents=True, exist_ok=True)
    if project_of(repository) == project.id:
        with locked(folder):
            _check_out(repository, folder)
    return folder.resolve()


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
