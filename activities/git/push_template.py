"""push_template: renders the blueprint's template with Copier and commits it to main."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dulwich.objects import ObjectID
from dulwich.repo import Repo
from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.beats import Beats, beating
from stepway.activities.git.checkout import LINK, check_out_clean, normalized, refuse_unusable
from stepway.activities.git.repositories import (
    Change,
    add_commit,
    add_files,
    changed_tree,
    created_at,
    head_of,
    history,
    is_made_for,
    locked,
    move_main,
    project_of,
)
from stepway.activities.git.template_source import FoundTemplate, TemplateSource
from stepway.activities.project import ProjectRef, repository_path
from stepway.blueprints.git_template import GitTemplate
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, SubStep

_EXECUTABLE, _PLAIN = 0o100755, 0o100644


@dataclass(frozen=True)
class PushTemplateInput:
    """`template` is a folder beside the blueprints, or a Git repository.

    `variables` answer the template's questions; `project_name` and `owner` are set by default.
    `template_written` names the fields of a Git template that the blueprint itself writes.
    """

    project: ProjectRef
    template: str | GitTemplate
    variables: dict[str, Any] = field(default_factory=dict)
    template_written: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PushedTemplate:
    """`files` is the number of files in the commit.

    `template` is the folder's name, or `URL@VERSION`; `template_commit` is the commit of a Git
    template.
    """

    files: int
    commit: str
    url: str
    template: str
    template_commit: str | None = None


class TemplateSteps:
    """Renders templates into repositories under `data_dir`."""

    def __init__(self, data_dir: Path, templates: TemplateSource) -> None:
        self._data_dir = data_dir
        self._templates = templates

    @activity.defn
    async def push_template(self, given: PushTemplateInput) -> PushedTemplate:
        """Render the template and commit it, or reuse the commit of an earlier attempt."""
        async with beating() as beats:
            beats.say(_progress(0, "prepare_vars", "Prepare variables"))
            template = await self._templates.find(
                given.template, given.template_written, given.project, beats.in_thread, beats.check
            )
            return await beats.in_thread(lambda: self._push(given, template, beats))

    def _push(
        self, given: PushTemplateInput, template: FoundTemplate, beats: Beats
    ) -> PushedTemplate:
        path = _own_repository(self._data_dir, given.project)
        with TemporaryDirectory(prefix="stepway-") as name:
            folder = Path(name) / "rendered"
            folder.mkdir()
            beats.say(_progress(20, "render_template", "Render template"))
            template.render(folder, _answers(given), beats.check)
            beats.say(_progress(50, "push_files", "Push files"))
            with locked(path), Repo(str(path)) as repo:
                changes = add_files(repo, _heartbeating(_files(folder), beats))
                commit = _commit(repo, changes, given, template.label, beats)
        version = template.version
        return PushedTemplate(
            len(changes),
            commit.decode(),
            str(path),
            template.label,
            version.commit if version else None,
        )


def _progress(percent: int, name: str, display_name: str, part: int = 0) -> Progress:
    return Progress(percent, display_name, sub_step=SubStep(name, display_name, part))


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


def _files(folder: Path) -> list[tuple[Path, str, int]]:
    """Return every file with its name and mode. Raises step_error for a name git cannot hold."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or path.is_file():
            found.append((path, path.relative_to(folder).as_posix(), _mode(path)))
    refuse_unusable({name: mode for _, name, mode in found})
    return found


def _mode(path: Path) -> int:
    if path.is_symlink():
        return LINK
    return _EXECUTABLE if path.stat().st_mode & stat.S_IXUSR else _PLAIN


def _heartbeating(
    files: list[tuple[Path, str, int]], beats: Beats
) -> Iterator[tuple[str, bytes, int]]:
    attributes = {
        name: path.read_bytes()
        for path, name, mode in files
        if path.name == ".gitattributes" and mode != LINK
    }
    for done, file in enumerate(normalized(_contents(files), attributes)):
        part = 100 * done // len(files)
        beats.say(_progress(50 + part // 2, "push_files", "Push files", part))
        yield file


def _contents(files: list[tuple[Path, str, int]]) -> Iterator[tuple[str, bytes, int]]:
    for path, name, mode in files:
        yield name, os.fsencode(path.readlink()) if mode == LINK else path.read_bytes(), mode


def _commit(
    repo: Repo, changes: list[Change], given: PushTemplateInput, label: str, beats: Beats
) -> ObjectID:
    """Return the ID of the template's commit: an earlier attempt's or a new one."""
    head = head_of(repo)
    made = next((c for c in history(repo, head) if is_made_for(c, given.project.id)), None)
    if head is not None and made is None:
        raise _pushed_by_somebody()
    tree = changed_tree(repo, None, changes)
    if made and head and (made.tree == tree or made.id != head.id):
        return made.id
    commit = add_commit(
        repo,
        tree,
        head,
        message=f"Start from the template {label}",
        project_id=given.project.id,
        at=created_at(repo),
    )
    beats.say(_progress(99, "push_files", "Push files", 99))
    check_out_clean(Path(repo.path), commit.decode(), beats.check)
    if not move_main(repo, head, commit):
        raise _pushed_by_somebody()
    return commit


def _pushed_by_somebody() -> ApplicationError:
    return step_error(
        "The main branch has commits that were not made by Stepway",
        remedy="Move these commits to another branch and delete main, or skip this step.",
        retry=False,
    )
