"""Loads a blueprint from its YAML file; errors name file and line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stepway.blueprints.arguments import KnownSteps
from stepway.blueprints.checks import problems
from stepway.blueprints.models import Blueprint, Retry, Step, Undo
from stepway.blueprints.source import Source, read
from stepway.blueprints.suggestions import suggestion
from stepway.blueprints.template_rules import TemplateRules
from stepway.blueprints.templates import template_problems
from stepway_tracking.validation import sentence

_OWNERS: dict[type[BaseModel], str] = {
    Blueprint: "the blueprint",
    Step: "a step",
    Retry: "the `retry` of a step",
    Undo: "the `undo` of a step",
}


def load(
    file: Path,
    known_steps: KnownSteps | None = None,
    folders: Sequence[Path] | None = None,
    rules: TemplateRules | None = None,
) -> Blueprint:
    """Load and check one blueprint.

    `known_steps` maps each activity type to its input dataclass; without it, activities are not
    checked. Templates must exist in one of `folders` and follow `rules`; without folders, templates
    are not checked.
    Raises BlueprintError with the message `FILE:LINE: reason`.
    """
    source = read(file)
    blueprint = _validated(source)
    for place, reason in problems(blueprint, known_steps):
        raise source.error(place, reason)
    if folders is not None:
        for place, reason in template_problems(blueprint, folders, rules or TemplateRules()):
            raise source.error(place, reason)
    return blueprint


def _validated(source: Source) -> Blueprint:
    if not isinstance(source.data, dict):
        raise source.error((), "a blueprint must be a mapping with name, parameters and steps")
    try:
        return Blueprint.model_validate(source.data)
    except ValidationError as error:
        first = min(error.errors(), key=lambda found: source.line(found["loc"]))
        raise source.error(first["loc"], _reason(first, source.data)) from None


def _reason(error: ErrorDetails, data: Any) -> str:
    *outer, name = error["loc"]
    if error["type"] == "extra_forbidden":
        return f"unknown field {name}{_hint(str(name), outer)}"
    if error["type"] == "missing":
        return f"{_written(outer, data)}field {name} is missing"
    message = sentence(error)
    return f"{_written(error['loc'], data)}{message[0].lower()}{message[1:]}"


def _written(place: Any, data: Any) -> str:
    """Format a place for people: `steps.create_repository.timeout: `."""
    names: list[str] = []
    for key in place:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            data = None
        named = isinstance(data, dict) and isinstance(data.get("step"), str)
        names.append(data["step"] if named else str(key))
    return f"{'.'.join(names)}: " if names else ""


def _hint(name: str, place: list[int | str]) -> str:
    """The place that a field belongs to if it is not this one, or a similar name."""
    here = _model(place)
    for model, other in _OWNERS.items():
        if model is not here and name in _names(model):
            return f"; {name} belongs to {other}, not to {_OWNERS[here]}"
    return suggestion(name, _names(here))


def _model(place: list[int | str]) -> type[BaseModel]:
    inner: dict[int | str, type[BaseModel]] = {"retry": Retry, "undo": Undo}
    return inner.get(place[-1], Step) if place else Blueprint


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
