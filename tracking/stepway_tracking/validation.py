"""Errors of pydantic as plain sentences for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_BOOLEAN = "must be true or false"
_OBJECT = "must be an object"
_TIME = "must be an ISO 8601 date or time, for example 2026-11-25"
_ID = "must be a UUID such as 0b0e8a3c-6c1a-5f0e-9d3f-0c4b5a697887"
_EMPTY = "must not be empty"

_SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "json_invalid": "must be valid JSON",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "has too many digits",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "date_parsing": _TIME,
    "date_from_datetime_parsing": _TIME,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": "must have a time zone, for example 2026-11-25T12:00:00Z",
    "uuid_type": _ID,
    "uuid_parsing": _ID,
}

_NOT_EMPTY = r"\S"
"""The pattern of a text that must not consist of white space."""


def sentence(error: Mapping[str, Any]) -> str:
    """Return what one of `ValidationError.errors()` requires, without the name of the value.

    For example "must not be empty". The message of a ValueError stays as it is, and so does that
    of a type without a sentence here. The given value is not in the sentence.
    """
    kind, details = str(error["type"]), error.get("ctx") or {}
    if kind in ("too_short", "string_too_short") and details.get("min_length") == 1:
        return _EMPTY
    if kind == "string_pattern_mismatch" and details.get("pattern") == _NOT_EMPTY:
        return _EMPTY
    if kind not in _SENTENCES:
        return str(error["msg"]).removeprefix("Value error, ")
    return _SENTENCES[kind].format_map({name: _written(details[name]) for name in details})


def _written(value: Any) -> Any:
    """Return 3.0 as 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
