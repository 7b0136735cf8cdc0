"""Fills in the defaults of parameters and validates them against the blueprint's JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from typing import Any

from jsonschema import ValidationError

from stepway.blueprints.errors import ParameterError, ParametersInvalid
from stepway.blueprints.models import Blueprint
from stepway.blueprints.schema import validator
from stepway.blueprints.suggestions import suggestion
from stepway_tracking.record.json_text import unstorable

MAX_DEPTH = 20
"""Maximum depth of objects and arrays in a parameter."""

MAX_BYTES = 64 * 1024
"""Maximum bytes of all parameters as JSON."""

_DETAILS = {
    "type": "must be of type {0}",
    "enum": "must be one of {0}",
    "const": "must be {0}",
    "pattern": "must match the pattern {0}",
    "format": "must be a valid {0}",
    "minLength": "must have at least {0} characters",
    "maxLength": "must have at most {0} characters",
    "minimum": "must be at least {0}",
    "maximum": "must be at most {0}",
    "exclusiveMinimum": "must be greater than {0}",
    "exclusiveMaximum": "must be less than {0}",
    "multipleOf": "must be a multiple of {0}",
    "minItems": "must have at least {0} items",
    "maxItems": "must have at most {0} items",
    "uniqueItems": "must not contain duplicate items",
}


def complete_parameters(
    blueprint: Blueprint, given: Mapping[str, Any], offered: Collection[str] | None = None
) -> dict[str, Any]:
    """Return the parameters with the schema's defaults filled in.

    `offered` are the parameters that the error for an unknown one lists; all by default.
    Raises ParametersInvalid with all errors; their messages never contain the given values.
    """
    if refused := list(_unstorable_parts(given)):
        raise ParametersInvalid(refused)
    complete: dict[str, Any] = _with_defaults(blueprint.parameters, given)
    errors = [
        parameter_error
        for error in validator(blueprint.parameters).iter_errors(complete)
        for parameter_error in _parameter_errors(error, offered)
    ]
    if errors:
        raise ParametersInvalid(list(dict.fromkeys(errors)))
    return complete


def changed_parameters(
    blueprint: Blueprint,
    current: Mapping[str, Any],
    changes: Mapping[str, Any],
    lost: Collection[str] = (),
) -> dict[str, Any]:
    """Return the parameters for a retry: the current ones with the changes, validated.

    `lost` parameters may be given again even if they are not editable.

    Raises ParametersInvalid, also for a parameter that is not editable.
    """
    editable = blueprint.parameter_names if blueprint.editable is None else blueprint.editable
    may = {*editable, *lost}
    fixed = [name for name in changes if name in blueprint.parameter_names and name not in may]
    if fixed:
        detail = "cannot be changed once the initialization has started"
        raise ParametersInvalid([_at([name], detail, "fixed") for name in fixed])
    offered = [name for name in blueprint.parameter_names if name in may]
    return complete_parameters(blueprint, {**current, **changes}, offered)


def _with_defaults(schema: Any, value: Any) -> Any:
    if isinstance(schema, Mapping) and isinstance(value, list):
        return [_with_defaults(schema.get("items"), item) for item in value]
    if not isinstance(schema, Mapping) or not isinstance(value, Mapping):
        return deepcopy(value)
    filled = dict(value)
    for name, part in schema.get("properties", {}).items():
        if name in filled:
            filled[name] = _with_defaults(part, filled[name])
        elif isinstance(part, Mapping) and "default" in part:
            filled[name] = _with_defaults(part, part["default"])
    return filled


def _unstorable_parts(given: Mapping[str, Any]) -> Iterator[ParameterError]:
    """Yield an error for values that Postgres or Temporal cannot store.

    The depth comes first: the other checks recurse.
    """
    for name, value in given.items():
        if _too_deep(value):
            detail = f"must not be nested deeper than {MAX_DEPTH} levels"
            yield ParameterError(name, _pointer([name]), detail)
            return
    try:
        text = json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        yield ParameterError("", "", "must be valid Unicode")
    except (TypeError, ValueError):
        yield ParameterError("", "", "must be JSON, without NaN or Infinity")
    else:
        if len(text) > MAX_BYTES:
            yield ParameterError("", "", f"must not exceed {MAX_BYTES} bytes as JSON")
        for name, value in given.items():
            problems = (unstorable(text) for text in (name, *_texts(value)))
            if problem := next(filter(None, problems), None):
                yield ParameterError(name, _pointer([name]), problem)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for outer in level for item in _items(outer)]
    return bool(level)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from value
    for item in _items(value):
        yield from _texts(item)


def _items(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _parameter_errors(
    error: ValidationError, offered: Collection[str] | None
) -> Iterator[ParameterError]:
    place = [str(part) for part in error.absolute_path]
    keyword, schema = str(error.validator), error.schema
    instance: Any = error.instance
    value: Any = error.validator_value
    if keyword == "required":
        missing = [name for name in value if name not in instance]
        yield from (_at([*place, name], "is missing", keyword) for name in missing)
    elif keyword == "additionalProperties" and value is False and isinstance(schema, dict):
        known = list(schema.get("properties", {}))
        if not place and offered is not None:
            known = [name for name in known if name in offered]
        for name in _unnamed(instance, schema):
            yield _at([*place, name], f"is unknown{suggestion(name, known)}", keyword)
    else:
        expected = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        template = _DETAILS.get(keyword, f"does not match the schema keyword {keyword}")
        yield _at(place, template.format(expected), keyword, expected)


def _unnamed(instance: Any, schema: Mapping[str, Any]) -> list[str]:
    patterns = schema.get("patternProperties", {})
    return [
        name
        for name in instance
        if name not in schema.get("properties", {})
        and not any(re.search(pattern, name) for pattern in patterns)
    ]


def _at(place: list[str], detail: str, code: str = "", expected: str = "") -> ParameterError:
    return ParameterError(place[0] if place else "", _pointer(place), detail, code, expected)


def _pointer(place: list[str]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in place)
