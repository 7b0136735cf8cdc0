"""push_template: renders the blueprint's template with Copier and commits it to main."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from copier import run_copy
from copier.errors import CopierError
from dulwich.objects import ObjectID
from dulwich.repo import Repo
from jinja2 import TemplateError
from plumbum import local
from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.git.repositories import (
    Change,
    add_files,
    changed_tree,
    commit_to_main,
    created_at,
    head_of,
    history,
    is_made_for,
    locked,
    project_of,
)
from stepway.activities.project import ProjectRef, repository_path
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, SubStep

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")
_EXECUTABLE, _PLAIN, _LINK = 0o100755, 0o100644, 0o120000
_RENDERING = Lock()


@dataclass(frozen=True)
class PushTemplateInput:
    """`template` is a folder beside the blueprints; `variables` answer the template's questions.

    `project_name` and `owner` are set by default.
    """

    project: ProjectRef
    template: str
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PushedTemplate:
    """`files` is the number of files in the commit."""

    files: int
    commit: str
    url: str
    template: str


class TemplateSteps:
    """Renders templates from the folders `blueprints` into repositories under `data_dir`."""

    def __init__(self, data_dir: Path, blueprints: Sequence[Path]) -> None:
        self._data_dir = data_dir
        self._blueprints = blueprints

    @activity.defn
    def push_template(self, given: PushTemplateInput) -> PushedTemplate:
        """Render the template and commit it, or reuse the commit of an earlier attempt."""
        activity.heartbeat(_progress(0, "prepare_vars", "Prepare variables"))
        template = find_template(self._blueprints, given.template)
        answers = _answers(given)
        path = _own_repository(self._data_dir, given.project)
        with TemporaryDirectory(prefix="stepway-") as folder, locked(path), Repo(str(path)) as repo:
            activity.heartbeat(_progress(20, "render_template", "Render template"))
            render(template, Path(folder), answers)
            activity.heartbeat(_progress(50, "push_files", "Push files"))
            changes = add_files(repo, _heartbeating(list(_files(Path(folder)))))
            commit = _commit(repo, changes, given)
        return PushedTemplate(len(changes), commit.decode(), str(path), given.template)


def _progress(percent: int, name: str, display_name: str, part: int = 0) -> Progress:
    return Progress(percent, display_name, sub_step=SubStep(name, display_name, part))


def find_template(blueprints: Sequence[Path], name: str) -> Path:
    """Return the template's folder, from the first of `blueprints` that contains it.

    Raises step_error if none contains it or the name leads out of the folder.
    """
    for folder in blueprints if _NAME.fullmatch(name) else ():
        found = (folder / name).resolve()
        if found.is_dir() and found.is_relative_to(folder.resolve()):
            return found
    raise step_error(
        f"Template {name!r} not found beside the blueprints",
        remedy="Correct `template` in the blueprint: use the name of a folder beside its file.",
        retry=False,
    )


def _answers(given: PushTemplateInput) -> dict[str, Any]:
    return {
        "project_name": given.project.name,
        "owner": given.project.owner,
        **given.variables,
    }


def _own_repository(data_dir: Path, project: ProjectRef) -> Path:
    path = repository_path(data_dir, project)
    if project_of(path) != project.id:
        raise step_error(
            f"The project has no repository {project.owner}/{project.name}",
            remedy="Run create_repository before this step, then retry.",
            retry=False,
        )
    return path


def render(template: Path, folder: Path, answers: dict[str, Any]) -> None:
    """Render `template` into `folder`. Raises step_error for an invalid template."""
    try:
        # If Copier finds git, it changes the working directory of the whole process to call it. An
        # empty PATH hides git; the templates are plain folders and do not need it.
        with _RENDERING, local.env(PATH=""):
            run_copy(str(template), folder, data=answers, defaults=True, overwrite=True, quiet=True)
    except (CopierError, TemplateError, ValueError) as error:
        raise step_error(
            f"Cannot render the template {template.name!r}: {error}",
            remedy="Correct the template or its values in the blueprint, then retry.",
            retry=False,
        ) from error


def _files(folder: Path) -> Iterator[tuple[str, bytes, int]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield name, os.fsencode(path.readlink()), _LINK
        elif path.is_file():
            executable = path.stat().st_mode & stat.S_IXUSR
            yield name, path.read_bytes(), _EXECUTABLE if executable else _PLAIN


def _heartbeating(files: list[tuple[str, bytes, int]]) -> Iterator[tuple[str, bytes, int]]:
    for done, file in enumerate(files):
        part = 100 * done // len(files)
        activity.heartbeat(_progress(50 + part // 2, "push_files", "Push files", part))
        yield file


def _commit(repo: Repo, changes: list[Change], given: PushTemplateInput) -> ObjectID:
    """Return the ID of the template's commit: an earlier attempt's or a new one."""
    head = head_of(repo)
    made = next((c for c in history(repo, head) if is_made_for(c, given.project.id)), None)
    if head is not None and made is None:
        raise _pushed_by_somebody()
    tree = changed_tree(repo, None, changes)
    if made and head and (made.tree == tree or made.id != head.id):
        return made.id
    commit = commit_to_main(
        repo,
        tree,
        head,
        message=f"Start from the template {given.template}",
        project_id=given.project.id,
        at=created_at(repo),
    )
    if commit is None:
        raise _pushed_by_somebody()
    return commit


def _pushed_by_somebody() -> ApplicationError:
    return step_error(
        "The main branch has commits that were not made by Stepway",
        remedy="Move these commits to another branch and delete main, or skip this step.",
        retry=False,
    )
