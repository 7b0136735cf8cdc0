"""The templates of blueprints: folders beside them, found by name, and Git repositories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from stepway.blueprints.copier_checks import (
    NotATemplate,
    answer_problems,
    config_of,
    feature_problems,
)
from stepway.blueprints.git_template import (
    CODE,
    FIELDS,
    AddressInvalid,
    GitTemplate,
    git_template,
    normalized_address,
    ref_problem,
    subfolder_problem,
    written_fields,
)
from stepway.blueprints.models import Blueprint, Step
from stepway.blueprints.schema import Problem
from stepway.blueprints.suggestions import suggestion
from stepway.blueprints.template_rules import SOURCES, TRUSTED, TemplateRules
from stepway.workflows.model.references import OPENING

PUSH_TEMPLATE = "push_template"
WRITTEN = "template_written"
"""The argument that Stepway adds: the fields of a template that the blueprint itself writes."""

_WRITE_OUT = f"must be written out in a blueprint of {TRUSTED}, without a reference"


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


def template_problems(
    blueprint: Blueprint, folders: Sequence[Path], rules: TemplateRules
) -> Iterator[Problem]:
    """Each problem of a step that pushes a template, with its place in the file.

    Templates in folders are read; those in Git repositories are read when a step uses them.
    """
    for index, step in enumerate(blueprint.steps):
        if step.uses != PUSH_TEMPLATE:
            continue
        for place, reason in _problems(blueprint.name, step, folders, rules):
            yield ("steps", index, "with", *place), reason


def _problems(
    blueprint: str, step: Step, folders: Sequence[Path], rules: TemplateRules
) -> Iterator[Problem]:
    given = step.arguments.get("template")
    if isinstance(given, Mapping):
        if unknown := [name for name in given if name not in FIELDS]:
            hint = suggestion(unknown[0], FIELDS)
            yield ("template", unknown[0]), f"unknown field {unknown[0]}{hint}"
            return
        if not given.get("git"):
            yield ("template",), "a template in Git needs `git`, its URL"
            return
    template = git_template(given)
    if template is not None:
        for name, reason in _git_problems(blueprint, template, given, rules):
            inner = (name,) if isinstance(given, Mapping) and name in given else ()
            yield ("template", *inner), reason
    elif isinstance(given, str) and OPENING in given:
        if rules.trusts(blueprint):
            yield ("template",), _WRITE_OUT
    elif isinstance(given, str):
        yield from _folder_problems(blueprint, step, given, folders, rules)


def _git_problems(
    blueprint: str, template: GitTemplate, given: Any, rules: TemplateRules
) -> Iterator[tuple[str, str]]:
    """Yield the field of each problem, and the reason."""
    written = written_fields(given)
    if "git" in written:
        try:
            address = normalized_address(template.git)
        except AddressInvalid as error:
            yield "git", str(error)
            return
        if problem := rules.source_problem(address, is_written=True):
            yield "git", problem
    elif not rules.sources:
        yield "git", f"holds a reference, so {SOURCES} must list where templates may be"
    if "ref" in written and (problem := ref_problem(template.ref)):
        yield "ref", problem
    if "subfolder" in written and (problem := subfolder_problem(template.subfolder)):
        yield "subfolder", problem
    if rules.trusts(blueprint):
        for name in CODE:
            if name not in written:
                yield name, _WRITE_OUT


def _folder_problems(
    blueprint: str, step: Step, name: str, folders: Sequence[Path], rules: TemplateRules
) -> Iterator[Problem]:
    try:
        config = config_of(template_folder(folders, name))
    except TemplateInvalid as error:
        yield ("template",), str(error)
        return
    except NotATemplate as error:
        yield ("template",), f"template {name!r}: {error}"
        return
    for reason in feature_problems(config, rules, blueprint):
        yield ("template",), f"template {name!r}: {reason}"
    answers = step.arguments.get("variables", {})
    if isinstance(answers, Mapping):
        for reason in answer_problems(config, answers):
            yield ("variables",), f"template {name!r}: {reason}"
