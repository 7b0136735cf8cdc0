"""The HTTP API, from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from scripts.reference.tables import table
from stepway.api.app import create_app
from stepway.runtime.settings import Settings

Json = Mapping[str, Any]

JSON = "application/json"
# Responses of every route; the page describes them once.
COMMON = {"401", "403", "413", "422", "429", "503", "default"}


def http_api() -> str:
    """A section for each group of routes, then the schemas of requests and responses."""
    document = create_app(Settings(_env_file=None)).openapi()
    routes = [
        (operation.get("tags", ["other"])[0], method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    routes.sort(key=lambda route: route[0])
    sections = [
        "\n\n".join([f"## {tag.capitalize()}", *(_route(*route[1:]) for route in group)])
        for tag, group in groupby(routes, key=lambda route: route[0])
    ]
    objects = [_object(name, schema) for name, schema in document["components"]["schemas"].items()]
    return "\n\n".join([*sections, "## Objects", *objects])


def _route(method: str, path: str, operation: Json) -> str:
    parts = [
        f"### {operation['summary'].capitalize()}",
        f"`{method.upper()} {path}`",
        operation.get("description", "").strip(),
    ]
    if parameters := operation.get("parameters"):
        rows = [_parameter(each) for each in parameters]
        parts.append(table(("Parameter", "In", "Type", "Meaning"), rows))
    if body := operation.get("requestBody"):
        parts.append(f"Body: {_body(body['content'])}.")
    parts.append("\n".join(_answers(operation["responses"])))
    return "\n\n".join(part for part in parts if part)


def _parameter(given: Json) -> tuple[str, str, str, str]:
    schema = given["schema"]
    meaning = [given.get("description") or schema.get("description", "")]
    if given.get("required"):
        meaning.append("Required.")
    elif schema.get("default") is not None:
        meaning.append(f"Default: `{_text(schema['default'])}`.")
    return f"`{given['name']}`", given["in"], _type(schema), " ".join(filter(None, meaning))


def _answers(responses: Json) -> Iterator[str]:
    for status, response in responses.items():
        if status in COMMON:
            continue
        content = response.get("content", {})
        body = f": {_body(content)}" if content and "problem+json" not in "".join(content) else ""
        yield f"- **{status}** {response['description']}{body}"


def _body(content: Json) -> str:
    return " or ".join(
        _type(each["schema"]) if kind == JSON and each.get("schema") else f"`{kind}`"
        for kind, each in content.items()
    )


def _object(name: str, schema: Json) -> str:
    parts = [f"### {name}", schema.get("description", "")]
    if properties := schema.get("properties"):
        rows = [
            (f"`{field}`", _type(each), each.get("description", ""))
            for field, each in properties.items()
        ]
        parts.append(table(("Field", "Type", "Meaning"), rows))
    elif values := schema.get("enum"):
        parts.append(f"One of {', '.join(f'`{value}`' for value in values)}.")
    return "\n\n".join(part for part in parts if part)


def _type(schema: Json) -> str:
    if ref := schema.get("$ref"):
        name = ref.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(each) for each in several)
    if values := schema.get("enum"):
        return ", ".join(f"`{value}`" for value in values)
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
