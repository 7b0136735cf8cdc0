"""Checks the JSON Schema of a blueprint's parameters: valid, and without external references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from jsonschema_specifications import REGISTRY
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from stepway.blueprints.source import Place

Problem = tuple[Place, str]
_FORMATS = Draft202012Validator.FORMAT_CHECKER
_TEXT = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
    ]
}
_ANNOTATIONS = "https://json-schema.org/draft/2020-12/meta/meta-data"


def _metaschema() -> Draft202012Validator:
    """JSON Schema's metaschema, except that `title` and `description` may be texts by language."""
    annotations = REGISTRY.contents(_ANNOTATIONS)
    texts = {"title": _TEXT, "description": _TEXT}
    ours = {**annotations, "properties": {**annotations["properties"], **texts}}
    registry = REGISTRY.with_resource(_ANNOTATIONS, DRAFT202012.create_resource(ours))
    return Draft202012Validator(
        Draft202012Validator.META_SCHEMA, registry=registry, format_checker=_FORMATS
    )


_METASCHEMA = _metaschema()


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Return a validator that checks formats and never uses the network."""
    return Draft202012Validator(schema, registry=Registry(), format_checker=_FORMATS)


def schema_problems(schema: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each problem of a schema with its place in it.

    Stops after the first kind of problem, because later checks rely on earlier ones.
    """
    if error := best_match(_METASCHEMA.iter_errors(schema)):
        yield tuple(error.absolute_path), f"is not valid JSON Schema: {_short(error.message)}"
        return
    if schema.get("type") != "object":
        yield ("type",), "parameters must be of type object"
    elif dangling := list(_dangling(schema)):
        yield from dangling
    else:
        yield from _bad_defaults(schema)


def _dangling(schema: Mapping[str, Any]) -> Iterator[Problem]:
    resource = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", resource).resolver()
    for place, reference in _schema_references(schema, ()):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            yield place, f"{reference} is not in this schema; external schemas are not supported"


def _schema_references(node: Any, place: Place) -> Iterator[tuple[Place, str]]:
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, item in children:
        if key in ("$ref", "$dynamicRef") and isinstance(item, str):
            yield (*place, key), item
        elif isinstance(item, dict | list):
            yield from _schema_references(item, (*place, key))


def _bad_defaults(schema: Mapping[str, Any]) -> Iterator[Problem]:
    root = validator(schema)
    for name, part in schema.get("properties", {}).items():
        if not isinstance(part, dict) or "default" not in part:
            continue
        for error in root.evolve(schema=part).iter_errors(part["default"]):
            reason = f"the default of {name} is invalid: {_short(error.message)}"
            yield ("properties", name, "default"), reason


def _short(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:200]}…"
