"""Finds a step's template, in a folder beside the blueprints or in a Git repository, to render."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

from temporalio.exceptions import ApplicationError

from stepway.activities.credentials.credentials import LOCAL
from stepway.activities.project import ProjectRef
from stepway.activities.templates.cache import TemplateCache
from stepway.activities.templates.fetch import Access, Repository, Version, resolve
from stepway.activities.templates.pins import TemplatePins
from stepway.activities.templates.rendering import Origin, find_template, render
from stepway.blueprints.git_template import (
    CODE,
    FOLDER,
    AddressInvalid,
    GitTemplate,
    git_template,
    normalized_address,
    ref_problem,
    source_path,
    subfolder_problem,
)
from stepway.blueprints.template_rules import TemplateRules
from stepway_tracking.record.errors import step_error

Beat = Callable[[], None]
T = TypeVar("T")

_CORRECT = "Correct `template` in the blueprint."


class InThread(Protocol):
    """Runs work in a thread, so that the event loop goes on."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]: ...


OpenAccess = Callable[[str, ProjectRef, str], Awaitable[Access]]
"""Opens the named credential of a project for a repository's URL. Raises step_error."""


@dataclass(frozen=True)
class FoundTemplate:
    """A template that is ready to be rendered.

    `label` names it for people: the folder's name, or `URL@VERSION`. `version` is None for a
    folder.
    """

    label: str
    version: Version | None
    _origin: Origin
    _project: ProjectRef
    _folder: Path | None
    _repository: Repository | None
    _subfolder: str
    _cache: TemplateCache

    def render(self, target: Path, answers: dict[str, Any], beat: Beat) -> None:
        """Render into the empty folder `target`, calling `beat` about once a second. For threads.

        Raises step_error.
        """
        with TemporaryDirectory(prefix="stepway-", dir=target.parent) as name:
            template = self._checked_out(Path(name) / "template", beat)
            # Templates see the name of the folder that they are rendered into.
            made = Path(name) / "made" / self._project.name
            made.mkdir(parents=True)
            render(template, made, answers, beat, self._origin)
            made.replace(target)

    def _checked_out(self, target: Path, beat: Beat) -> Path:
        """The template's folder; one from Git is copied, so that nothing changes what is cached."""
        if self._folder is not None:
            return self._folder
        assert self._repository is not None and self.version is not None
        self._cache.copy(self._repository, self.version.commit, target, beat)
        folder = target / self._subfolder
        inside = folder.resolve().is_relative_to(target.resolve())
        if not folder.is_dir() or not inside:
            raise _refused(
                f"The template {self.label} has no folder {self._subfolder!r}",
                f"Name one of its folders as `subfolder` of the template: {_folders(target)}.",
            )
        return folder


class TemplateSource:
    """Finds templates for steps, within the operator's rules."""

    def __init__(
        self,
        blueprints: Sequence[Path],
        rules: TemplateRules,
        cache: TemplateCache,
        pins: TemplatePins,
        access: OpenAccess,
    ) -> None:
        self._blueprints = blueprints
        self._rules = rules
        self._cache = cache
        self._pins = pins
        self._access = access

    async def find(
        self,
        template: str | GitTemplate,
        written: Sequence[str],
        project: ProjectRef,
        in_thread: InThread,
        beat: Beat,
    ) -> FoundTemplate:
        """Return a step's template. A Git template keeps the commit that its first attempt found.

        `written` names the fields of a Git template that the blueprint itself writes; FOLDER stands
        for the name of a folder. Raises step_error.
        """
        in_git = git_template(template)
        if in_git is None:
            return self._in_folder(str(template), written, project)
        return await self._in_git(in_git, written, project, in_thread, beat)

    def _rules_for(self, written: Sequence[str], *fields: str) -> TemplateRules:
        """The rules, without trust unless the blueprint itself writes these fields.

        Whoever creates the project must not choose code that the operator trusts.
        """
        return self._rules if set(fields) <= set(written) else replace(self._rules, trusted=())

    def _in_folder(self, name: str, written: Sequence[str], project: ProjectRef) -> FoundTemplate:
        folder = find_template(self._blueprints, name)
        origin = Origin(name, name, self._rules_for(written, FOLDER), project.blueprint)
        return FoundTemplate(name, None, origin, project, folder, None, "", self._cache)

    async def _in_git(
        self,
        template: GitTemplate,
        written: Sequence[str],
        project: ProjectRef,
        in_thread: InThread,
        beat: Beat,
    ) -> FoundTemplate:
        url = self._address(template, "git" in written)
        version = await self._pins.kept(project, url, template.ref)
        access = Access()
        if template.credential and template.credential != LOCAL:
            access = await self._access(template.credential, project, url)
        repository = Repository(url, access)
        if version is None:
            # Also for a commit: only the host knows whether this project may read it.
            found = await in_thread(lambda: resolve(repository, template.ref, beat))
            version = await self._pins.keep(project, url, template.ref, found)
        rules = self._rules_for(written, *CODE)
        label = f"{url}@{version.version}"
        origin = Origin(
            label, source_path(template.git), rules, project.blueprint, version, template.ref
        )
        return FoundTemplate(
            label, version, origin, project, None, repository, template.subfolder, self._cache
        )

    def _address(self, template: GitTemplate, is_written: bool) -> str:
        """The normalized URL of a template that the rules allow. Raises step_error."""
        try:
            url = normalized_address(template.git)
        except AddressInvalid as error:
            raise _refused(f"Cannot use the template: {error}", _CORRECT) from None
        problem = (
            self._rules.source_problem(url, is_written=is_written)
            or ref_problem(template.ref)
            or subfolder_problem(template.subfolder)
        )
        if problem:
            raise _refused(f"Cannot use the template {url}: {problem}", _CORRECT)
        return url


def _folders(root: Path) -> str:
    """Some folders of a repository, those with a copier.yml first."""
    templates = sorted(
        str(file.parent.relative_to(root))
        for file in root.glob("*/**/copier.y*ml")
        if file.suffix in (".yml", ".yaml")
    )
    others = sorted(path.name for path in root.iterdir() if path.is_dir())
    return ", ".join((templates or others)[:5]) or "it has none"


def _refused(message: str, remedy: str) -> ApplicationError:
    return step_error(message, remedy=remedy, retry=False)
