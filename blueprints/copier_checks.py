"""Checks a template's copier.yml: features that are refused, and the answers that it gets.

The same texts are raised when a blueprint is loaded and when a template from Git is first used.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

from stepway.blueprints.suggestions import suggestion
from stepway.blueprints.template_rules import TemplateRules, allow
from stepway.workflows.model.references import OPENING

GIVEN = ("project_name", "owner")
"""The answers that Stepway adds to those of the blueprint."""

_CONFIG = ("copier.yml", "copier.yaml")
_TRUTHS = {"true", "yes", "on", "1", "y"}


class NotATemplate(ValueError):
    """A copier.yml that cannot be read, or none where one is needed. The text says why."""


def config_file(folder: Path) -> Path | None:
    """The template's copier.yml; None if it has none."""
    return next((folder / name for name in _CONFIG if (folder / name).is_file()), None)


def config_of(folder: Path) -> dict[str, Any]:
    """Settings and questions of the template, as Copier reads them. Raises NotATemplate."""
    # Copier and what it imports take time and memory, and only templates need them.
    from copier._template import load_template_config  # noqa: PLC0415
    from copier.errors import CopierError  # noqa: PLC0415

    file = config_file(folder)
    if file is None:
        return {}
    try:
        found = load_template_config(file)
    except (CopierError, yaml.YAMLError) as error:
        cause = error if isinstance(error, yaml.MarkedYAMLError) else error.__cause__
        if isinstance(cause, yaml.MarkedYAMLError):
            line = f":{cause.problem_mark.line + 1}" if cause.problem_mark else ""
            raise NotATemplate(f"{file.name}{line}: is not YAML: {cause.problem}") from None
        raise NotATemplate(f"{file.name}: {error}") from None
    except (TypeError, ValueError, OSError) as error:
        raise NotATemplate(f"{file.name}: cannot be read: {error}") from None
    return {str(name): value for name, value in found.items()}


def questions_of(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The questions, with the short form `name: default` written out."""
    return {
        name: question if isinstance(question, dict) else {"default": question}
        for name, question in config.items()
        if not name.startswith("_")
    }


def feature_problems(
    config: Mapping[str, Any], rules: TemplateRules, blueprint: str
) -> Iterator[str]:
    """Yield why a template with these settings is not rendered for a blueprint."""
    if problem := _version_problem(config.get("_min_copier_version")):
        yield problem
    if problem := _answers_file_problem(config.get("_answers_file")):
        yield problem
    for setting in ("_tasks", "_migrations"):
        if config.get(setting) and not rules.trusts(blueprint):
            yield f"{setting} in copier.yml runs programs: {allow(blueprint)}"
    for name in _texts(config.get("_jinja_extensions")):
        if problem := rules.extension_problem(name, blueprint):
            yield problem


def answer_problems(config: Mapping[str, Any], answers: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the answers of a blueprint, which may hold references.

    A template without questions takes any answers: its files may use them.
    """
    questions = questions_of(config)
    if not questions:
        return
    for name in answers:
        if name not in questions and name not in GIVEN:
            yield f"the template asks no question {name}{suggestion(name, questions)}"
    for name, question in questions.items():
        if name in answers:
            if problem := _choice_problem(name, question, answers[name]):
                yield problem
        elif name not in GIVEN and _needs_answer(question):
            yield f"the template needs an answer to {name}, which has no default"


def _needs_answer(question: Mapping[str, Any]) -> bool:
    """Whether Copier would fail without an answer, as far as its copier.yml alone tells."""
    if "default" in question:
        return False
    return all(_is_true(question.get(condition, True)) for condition in ("when", "ask"))


def _is_true(condition: Any) -> bool:
    return condition is True or str(condition).strip().casefold() in _TRUTHS


def _choice_problem(name: str, question: Mapping[str, Any], answer: Any) -> str:
    choices = _choices(question.get("choices"))
    given = answer if question.get("multiselect") and isinstance(answer, list) else [answer]
    for one in given:
        text = _plain(one)
        if choices is not None and text is not None and text not in choices:
            return f"{text} is no choice of {name}{suggestion(text, choices)}"
    return ""


def _choices(found: Any) -> Collection[str] | None:
    """The values to choose from; None if they depend on other answers."""
    if not isinstance(found, list | dict) or not found:
        return None
    values = found.values() if isinstance(found, dict) else found
    texts: list[str] = []
    for value in values:
        if isinstance(value, list) and len(value) == 2:
            value = value[1]
        text = None if isinstance(value, dict) else _plain(value)
        if text is None:
            return None
        texts.append(text)
    return texts


def _plain(value: Any) -> str | None:
    """A value as text; None for one that is computed, or that has parts."""
    if value is None or isinstance(value, list | dict):
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return None if OPENING in text or "{" in text else text


def _texts(found: Any) -> list[str]:
    return [str(name) for name in found] if isinstance(found, list) else []


def _answers_file_problem(named: Any) -> str:
    path = PurePosixPath(str(named))
    if named is None or not (path.is_absolute() or ".." in path.parts):
        return ""
    return f"_answers_file in copier.yml leads out of the project: {named}"


def _version_problem(needed: Any) -> str:
    from copier._tools import copier_version  # noqa: PLC0415

    if needed is None:
        return ""
    try:
        wanted = Version(str(needed))
    except InvalidVersion:
        return f"_min_copier_version in copier.yml is no version: {needed}"
    installed = copier_version()
    if installed >= wanted or installed == Version("0.0.0"):
        return ""
    return f"the template needs Copier {needed}; installed is {installed}: upgrade it"
