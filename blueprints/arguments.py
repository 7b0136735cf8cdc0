"""Checks a step's arguments against the input of its activity: a dataclass or a Pydantic model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel

from stepway.blueprints.argument_types import Mismatch, Place, kind_of, mismatch, value_at, written
from stepway.blueprints.suggestions import suggestion

KnownSteps = Mapping[str, type[Any] | None]


@dataclass(frozen=True)
class Argument:
    """One field of an input; `strict` as for `mismatch`."""

    name: str
    hint: Any
    required: bool
    strict: bool


def input_types(activities: Mapping[str, Callable[..., Any]]) -> dict[str, type[Any] | None]:
    """Return the input type of each activity by activity type; None if it has none."""
    return {name: _input_type(activity) for name, activity in activities.items()}


def argument_problems(
    given: Mapping[str, Any], input_type: type[Any] | None, supplied: frozenset[str]
) -> Iterator[tuple[Place, str]]:
    """Yield the place of each invalid argument and the reason.

    `supplied` are the fields that Stepway sets itself (`project`, and `result` for an undo); a
    blueprint must not set them.
    """
    for name in supplied & given.keys():
        yield (name,), f"{name} is set by Stepway; remove it"
    if input_type is None:
        return
    known = {one.name: one for one in arguments_of(input_type) if one.name not in supplied}
    if not _takes_others(input_type):
        for name in given.keys() - known.keys() - supplied:
            yield (name,), f"unknown argument {name}{suggestion(name, known)}"
    for name, one in known.items():
        if name not in given:
            if one.required:
                yield (name,), f"argument {name} is missing"
        elif found := mismatch(one.hint, given[name], references=True, strict=one.strict):
            place = (name, *found.place)
            yield place, f"argument {_dotted(place)} {_reason(found, given[name], written)}"


def resolved_problem(given: Mapping[str, Any], input_type: type[Any]) -> str:
    """What is wrong with arguments whose references are resolved; empty if nothing is.

    The text holds no value: it may be a secret.
    """
    for one in arguments_of(input_type):
        if one.name not in given:
            if one.required:
                return f"argument '{one.name}' is missing"
        elif found := mismatch(one.hint, given[one.name], references=False, strict=one.strict):
            reason = _reason(found, given[one.name], kind_of)
            return f"argument '{_dotted((one.name, *found.place))}' {reason}"
    return ""


def accepted_arguments(given: Mapping[str, Any], input_type: type[Any] | None) -> dict[str, Any]:
    """Return the arguments for which the input has a field: an undo inherits only those."""
    if input_type is None or _takes_others(input_type):
        return dict(given)
    names = {one.name for one in arguments_of(input_type)}
    return {name: value for name, value in given.items() if name in names}


def arguments_of(input_type: type[Any]) -> tuple[Argument, ...]:
    """The fields of an input that a blueprint can set."""
    if issubclass(input_type, BaseModel):
        return tuple(
            Argument(field.alias or name, field.rebuild_annotation(), field.is_required(), False)
            for name, field in input_type.model_fields.items()
        )
    try:
        hints = get_type_hints(input_type, include_extras=True)
    except NameError:  # a type that the module imports for type checkers only
        hints = {}
    return tuple(
        Argument(
            field.name,
            hints.get(field.name, Any),
            field.default is MISSING and field.default_factory is MISSING,
            True,
        )
        for field in fields(input_type)
        if field.init
    )


def _reason(found: Mismatch, value: Any, shown: Callable[[Any], str]) -> str:
    if found.is_missing:
        return found.reason
    return f"{found.reason}, not {shown(value_at(value, found.place))}"


def _takes_others(input_type: type[Any]) -> bool:
    return issubclass(input_type, BaseModel) and input_type.model_config.get("extra") == "allow"


def _input_type(activity: Callable[..., Any]) -> type[Any] | None:
    hints = get_type_hints(activity)
    for name in inspect.signature(activity).parameters:
        found = hints.get(name)
        if isinstance(found, type) and (is_dataclass(found) or issubclass(found, BaseModel)):
            return found
    return None


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))
