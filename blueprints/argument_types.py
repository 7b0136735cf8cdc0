"""Checks values against the type of a field, and describes both in plain words.

Pydantic converts and describes the types. Whole references stand for values that are not known
yet; a text with a reference in it is a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic_core import ErrorDetails

from stepway.workflows.model.references import Reference, ReferenceInvalid, parse

Place = tuple[int | str, ...]

_SHOWN = 60
_REFERENCE = "\ue000a reference"
_WITH_REFERENCE = "\ue000a text with a reference"
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_MANY = {
    "string": "texts",
    "integer": "whole numbers",
    "number": "numbers",
    "object": "mappings",
    "array": "lists",
}


@dataclass(frozen=True)
class Mismatch:
    """A value that does not fit: where in the argument it is, and why: `must be text`."""

    place: Place
    reason: str
    is_missing: bool = False


def mismatch(hint: Any, value: Any, *, references: bool, strict: bool = True) -> Mismatch | None:
    """The first part of a JSON value that does not fit a type; None if all may fit.

    With `references`, texts may hold references. `strict` is Pydantic's: no text becomes a number.
    A type that Pydantic does not know is not checked.
    """
    try:
        checker, schema = _checker(hint)
    except (PydanticUserError, PydanticUndefinedAnnotation, TypeError):
        return None
    tree = _whole_numbers(_marked(value) if references else value)
    try:
        checker.validate_json(json.dumps(tree), strict=strict or None)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        return _first(errors, tree, _Schema(schema))
    return None


def kind_of(value: Any) -> str:
    """What a value is, without the value itself, which may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case Mapping():
            return "a mapping"
    return "a list"


def written(value: Any) -> str:
    """A value as a blueprint's author knows it: short texts and numbers with the value itself."""
    if isinstance(value, str):
        shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
        return f"the text {shown!r}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}"
    return kind_of(value)


def value_at(value: Any, place: Place) -> Any:
    """The part of a value at a place."""
    for key in place:
        value = value[key]
    return value


@lru_cache(maxsize=1000)
def _checker(hint: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    checker: TypeAdapter[Any] = TypeAdapter(hint)
    return checker, checker.json_schema()


def _marked(value: Any) -> Any:
    """The value, with a mark in place of each text that holds a reference."""
    if isinstance(value, Mapping):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        parts = parse(value)
    except ReferenceInvalid:
        return _REFERENCE
    match parts:
        case [Reference()]:
            return _REFERENCE
        case [str() as text]:
            return text
    return _WITH_REFERENCE if parts else ""


def _whole_numbers(value: Any) -> Any:
    """The value, with 3 for 3.0: JSON has one kind of number."""
    if isinstance(value, Mapping):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _first(errors: list[ErrorDetails], tree: Any, schema: _Schema) -> Mismatch | None:
    unknown = any(error["input"] == _REFERENCE for error in errors)
    found: list[tuple[Place, ErrorDetails]] = []
    for error in errors:
        place, in_union = _place(error, tree)
        part = error["input"]
        if part == _REFERENCE or (unknown and in_union):
            continue
        if part == _WITH_REFERENCE and schema.at(place).allows("string"):
            continue
        found.append((place, error))
    if not found:
        return None
    # Of the errors of a union, the deepest is about the type that the author meant; one about a
    # missing field is about a mapping.
    place, error = max(found, key=lambda one: (len(one[0]), one[1]["type"] == "missing"))
    if error["type"] == "missing":
        return Mismatch((*place, error["loc"][-1]), "is missing", is_missing=True)
    part = schema.at(place)
    return Mismatch(place, f"must be {part.words()}" if part.explains(error) else _said(error))


def _said(error: ErrorDetails) -> str:
    """Pydantic's own message about a value of the right type."""
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if message.startswith("Input should "):
        return f"must {message.removeprefix('Input should ')}"
    return f"is invalid: {message}"


def _place(error: ErrorDetails, tree: Any) -> tuple[Place, bool]:
    """Where an error is in the value; whether Pydantic was trying one type of several there."""
    place: list[int | str] = []
    in_union = False
    for key in error["loc"]:
        if not _has(tree, key):
            in_union = in_union or error["type"] != "missing"
            continue
        tree = tree[key]
        place.append(key)
    return tuple(place), in_union


def _has(tree: Any, key: int | str) -> bool:
    if isinstance(tree, list):
        return isinstance(key, int) and key < len(tree)
    return isinstance(tree, Mapping) and key in tree


class _Schema:
    """A JSON Schema made by Pydantic, as its possible forms."""

    def __init__(
        self, schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None
    ) -> None:
        self._definitions = schema.get("$defs", {}) if definitions is None else definitions
        self._forms = list(self._resolved(schema))

    def at(self, place: Place) -> _Schema:
        """What may be at a place within the value."""
        schema = self
        for key in place:
            schema = schema._part(key)
        return schema

    def allows(self, kind: str) -> bool:
        """Whether a value of that JSON type may fit."""
        return any(form.get("type", kind) == kind for form in self._forms)

    def explains(self, error: ErrorDetails) -> bool:
        """Whether `words` say why the value does not fit: its type, or the list of values."""
        kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
        kind = kinds.get(type(error["input"]), "object")
        same = [form for form in self._forms if kind == form.get("type")]
        return not same or any("const" in form or "enum" in form for form in same)

    def words(self) -> str:
        """The forms, for people: `a list of texts, or null`."""
        words = list(dict.fromkeys(self._words(form) for form in self._forms))
        return (", or " if any(" or " in word for word in words[:-1]) else " or ").join(words)

    def _part(self, key: int | str) -> _Schema:
        parts = [part for form in self._forms if (part := _inner(form, key)) is not None]
        return _Schema({"anyOf": parts} if parts else {}, self._definitions)

    def _resolved(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if reference := schema.get("$ref"):
            yield from self._resolved(self._definitions[reference.rpartition("/")[2]])
        elif options := schema.get("anyOf") or schema.get("oneOf"):
            for option in options:
                yield from self._resolved(option)
        else:
            yield schema

    def _words(self, form: Mapping[str, Any]) -> str:
        if "const" in form or "enum" in form:
            values = form.get("enum", [form.get("const")])
            return "one of " + ", ".join(json.dumps(value) for value in values)
        kind = form.get("type")
        if kind == "array":
            return self._list_words(form)
        if kind == "object":
            names = ", ".join(form.get("properties", {}))
            return f"a mapping ({names})" if names else "a mapping"
        words = _KINDS.get(str(kind), "another value")
        return f"{words} ({form['format']})" if "format" in form else words

    def _list_words(self, form: Mapping[str, Any]) -> str:
        items = _Schema(form.get("items", {}), self._definitions)._forms
        kinds = [_MANY.get(str(item.get("type")), "") for item in items]
        return f"a list of {' or '.join(dict.fromkeys(kinds))}" if all(kinds) else "a list"


def _inner(form: Mapping[str, Any], key: int | str) -> Mapping[str, Any] | None:
    if isinstance(key, int):
        first: list[Any] = form.get("prefixItems", [])
        return first[key] if key < len(first) else form.get("items")
    inner = form.get("properties", {}).get(key, form.get("additionalProperties"))
    return inner if isinstance(inner, Mapping) else None
