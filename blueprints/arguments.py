"""Checks a step's arguments against the input dataclass of its activity."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_type_hints

from stepway.blueprints.suggestions import suggestion

KnownSteps = Mapping[str, type[Any] | None]


def input_types(activities: Mapping[str, Callable[..., Any]]) -> dict[str, type[Any] | None]:
    """Return the input dataclass of each activity by activity type; None if it has none."""
    return {name: _input_type(activity) for name, activity in activities.items()}


def argument_problems(
    given: Mapping[str, Any], input_type: type[Any] | None, supplied: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Yield the name of each invalid argument and the reason.

    `supplied` are the fields that Stepway sets itself (`project`, and `result` for an undo); a
    blueprint must not set them.
    """
    for name in supplied & given.keys():
        yield name, f"{name} is set by Stepway; remove it"
    if input_type is None:
        return
    known = {field.name: field for field in fields(input_type) if field.name not in supplied}
    for name in given.keys() - known.keys() - supplied:
        yield name, f"unknown argument {name}{suggestion(name, known)}"
    for name, field in known.items():
        if name not in given and _is_required(field):
            yield name, f"argument {name} is missing"


def accepted_arguments(given: Mapping[str, Any], input_type: type[Any] | None) -> dict[str, Any]:
    """Return the arguments for which the dataclass has a field: an undo inherits only those."""
    names = {field.name for field in fields(input_type)} if input_type else given.keys()
    return {name: value for name, value in given.items() if name in names}


def _input_type(activity: Callable[..., Any]) -> type[Any] | None:
    hints = get_type_hints(activity)
    for name in inspect.signature(activity).parameters:
        if name != "self" and is_dataclass(found := hints.get(name)):
            return found if isinstance(found, type) else None
    return None


def _is_required(field: Field[Any]) -> bool:
    return field.init and field.default is MISSING and field.default_factory is MISSING
