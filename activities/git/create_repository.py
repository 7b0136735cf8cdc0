"""create_repository and its undo: create and delete the project's bare Git repository."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dulwich.refs import HEADREF
from dulwich.repo import Repo
from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.git.repositories import (
    MAIN,
    create_bare,
    head_of,
    is_made_for,
    locked,
    project_of,
)
from stepway.activities.project import ProjectRef, repository_path, working_tree_path
from stepway.activities.rollback import Removed, left_behind
from stepway_tracking.record.errors import step_error


@dataclass(frozen=True)
class CreateRepositoryInput:
    """The repository has the project's name."""

    project: ProjectRef


@dataclass(frozen=True)
class CreatedRepository:
    """`url` is an argument for `git clone`."""

    name: str
    url: str
    default_branch: str = "main"


@dataclass(frozen=True)
class DeleteRepositoryInput(CreateRepositoryInput):
    """`result` is the result of create_repository."""

    result: dict[str, Any] | None = None


class RepositorySteps:
    """Creates and deletes repositories under `data_dir`."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    @activity.defn
    def create_repository(self, given: CreateRepositoryInput) -> CreatedRepository:
        """Create the repository, or reuse the one of an earlier attempt."""
        project = given.project
        path = repository_path(self._data_dir, project)
        with locked(path):
            if not path.exists():
                create_bare(path, project.id)
            elif project_of(path) != project.id:
                raise step_error(
                    f"The repository {project.owner}/{project.name} already exists "
                    "and belongs to another project",
                    remedy="Choose another name, or move that repository away, then retry.",
                    retry=False,
                )
        return CreatedRepository(name=project.name, url=str(path))

    @activity.defn
    def delete_repository(self, given: DeleteRepositoryInput) -> Removed:
        """Delete the repository.

        Raises step_error if it belongs to another project or has new commits.
        """
        path = repository_path(self._data_dir, given.project)
        aside = path.with_name(f".{path.name}.deleted")
        with locked(path):
            # Move it before the check, so that no push can arrive after the check.
            if path.exists():
                _refuse_foreign(path, given.project)
                path.rename(aside)
            if not aside.exists():
                return Removed()
            try:
                _refuse_pushed(aside, given.project)
            except ApplicationError:
                aside.rename(path)
                raise
            shutil.rmtree(aside)
            shutil.rmtree(working_tree_path(self._data_dir, given.project), ignore_errors=True)
        return Removed([str(path)])


def _refuse_foreign(path: Path, project: ProjectRef) -> None:
    if project_of(path) != project.id:
        raise left_behind(_named(project), "it belongs to another project")


def _refuse_pushed(path: Path, project: ProjectRef) -> None:
    with Repo(str(path)) as repo:
        head = head_of(repo)
        moved = {MAIN} if head and not is_made_for(head, project.id) else set()
        others = set(repo.refs.allkeys()) - {HEADREF, MAIN}
    if pushed := sorted(moved | others):
        refs = b", ".join(pushed).decode(errors="replace")
        raise left_behind(_named(project), f"it has new commits ({refs})")


def _named(project: ProjectRef) -> str:
    return f"The repository {project.owner}/{project.name}"
