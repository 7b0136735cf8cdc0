"""The option `--param KEY=VALUE` of the client commands, typed by the blueprint's schema."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

import typer

from stepway.cli.client.errors import ApiRefused
from stepway.cli.client.http import Api, Json

Parameters: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="KEY=VALUE",
        help="Set a parameter (repeatable). Text where the blueprint takes text, otherwise JSON.",
    ),
]

_ALL_TYPES = frozenset({"string", "null", "boolean", "integer", "number", "array", "object"})
_MAX_REFERENCES = 20


def parse_pairs(given: list[str] | None) -> dict[str, str]:
    """Return the texts by name; the last one of a repeated name wins.

    Raises typer.BadParameter if one is not KEY=VALUE.
    """
    pairs = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--param")
        pairs[name] = value
    return pairs


def schema_of(api: Api, blueprint: str) -> Json:
    """Return the JSON Schema of a blueprint's parameters; empty if the API has no such blueprint.

    Raises ApiUnreachable, ApiRefused.
    """
    try:
        found: Json = api.get(f"/blueprints/{quote(blueprint, safe='')}")
    except ApiRefused as error:
        if error.status != 404:
            raise
        return {}  # the API then refuses the command itself with a better message
    return dict(found["parameters"])


def typed(pairs: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in the types that the schema accepts.

    A parameter that accepts only text keeps the text. Other values are parsed as JSON; they stay
    text if that fails or if the schema does not accept the type, and the API then refuses them.
    If the schema accepts both numbers and text, `1.10` stays text because a number would be 1.1.
    """
    return {
        name: _value(text, list(_branches(_property(schema, name), schema, _MAX_REFERENCES)))
        for name, text in pairs.items()
    }


def _value(text: str, branches: list[Mapping[str, Any]]) -> Any:
    types = frozenset[str]().union(*(_types(branch) for branch in branches))
    if types <= {"string"} or text in _texts_named(branches):
        return text
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return text
    own = _type(value)
    fits = own in types or (own in ("integer", "number") and types & {"integer", "number"})
    is_number = own in ("integer", "number")
    lossy = is_number and "string" in types and json.dumps(value) != text
    return value if fits and not lossy else text


def _property(schema: Mapping[str, Any], name: str) -> Any:
    if name in schema.get("properties", {}):
        return schema["properties"][name]
    for pattern, found in schema.get("patternProperties", {}).items():
        if re.search(pattern, name):
            return found
    return schema.get("additionalProperties", {})


def _branches(part: Any, root: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """The alternatives of a schema, with its local references followed."""
    if not isinstance(part, Mapping) or not depth:
        yield {}
        return
    if isinstance(reference := part.get("$ref"), str):
        yield from _branches(_at(root, reference), root, depth - 1)
        return
    inner = [one for key in ("oneOf", "anyOf", "allOf") for one in part.get(key, [])]
    if not inner or part.keys() & {"type", "enum", "const"}:
        yield part
        return
    for one in inner:
        yield from _branches(one, root, depth - 1)


def _at(root: Any, reference: str) -> Any:
    for name in reference.removeprefix("#/").split("/"):
        root = root.get(name.replace("~1", "/").replace("~0", "~")) if root else None
        if not isinstance(root, Mapping):
            return {}
    return root


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    given = schema.get("type")
    if isinstance(given, str):
        return frozenset({given})
    if isinstance(given, list):
        return frozenset(given)
    if "const" in schema:
        return frozenset({_type(schema["const"])})
    if "enum" in schema:
        return frozenset(_type(value) for value in schema["enum"])
    return _ALL_TYPES


def _texts_named(branches: list[Mapping[str, Any]]) -> set[str]:
    named = [[*one.get("enum", []), one.get("const")] for one in branches]
    return {value for values in named for value in values if isinstance(value, str)}


def _type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is out of range")
    return value


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
