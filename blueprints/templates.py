"""The templates beside the blueprints: folders, found by name in the operator's folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from stepway.blueprints.models import Blueprint
from stepway.blueprints.schema import Problem
from stepway.workflows.model.references import OPENING

PUSH_TEMPLATE = "push_template"


class TemplateInvalid(ValueError):
    """A template that none of the folders has, or whose name leads out of them."""


def template_folder(folders: Sequence[Path], name: str) -> Path:
    """The template's folder, with links followed, in the first of the folders that has it.

    Raises TemplateInvalid.
    """
    missing = f"template {name!r} not found beside the blueprints"
    parts = PurePosixPath(name).parts
    if not parts or "\x00" in name or name.startswith("/") or ".." in parts:
        raise TemplateInvalid(f"{missing}: it is not the name of a folder")
    for folder in folders:
        found = (folder / name).resolve()
        if found.is_dir() and not found.is_relative_to(folder.resolve()):
            raise TemplateInvalid(f"{missing}: a link in its name leads out of their folder")
        if found.is_dir() and found != folder.resolve():
            return found
    raise TemplateInvalid(missing)


def template_problems(blueprint: Blueprint, folders: Sequence[Path]) -> Iterator[Problem]:
    """Each step that pushes a template which is not there, with its place in the file."""
    for index, step in enumerate(blueprint.steps):
        name = step.arguments.get("template")
        if step.uses != PUSH_TEMPLATE or not isinstance(name, str) or OPENING in name:
            continue
        try:
            template_folder(folders, name)
        except TemplateInvalid as error:
            yield ("steps", index, "with", "template"), str(error)
