"""The API's page at `/docs`: the OpenAPI document for people, without scripts or other servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "reference"
NO_CACHE = {"Cache-Control": "no-cache"}

_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "shortest",
    "maxLength": "longest",
    "maxItems": "items, at most",
    "pattern": "pattern",
    "default": "default",
}


class Operation(NamedTuple):
    """One method of one path; `anchor` is its place on the page."""

    method: str
    path: str
    anchor: str
    found: dict[str, Any]


def add_docs(app: FastAPI) -> None:
    """Serve the page at `/docs`, to everybody as `/openapi.json` is."""

    @cache
    def page() -> str:
        return render(app.openapi())

    async def docs(request: Request) -> Response:
        return HTMLResponse(page(), headers=NO_CACHE)

    async def style(request: Request) -> Response:
        return FileResponse(FOLDER / "page.css", headers=NO_CACHE)

    app.router.routes += [Route("/docs", docs), Route("/docs/page.css", style)]


def render(document: dict[str, Any]) -> str:
    """Return the HTML page for an OpenAPI document."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "limits": limits, "name": schema_name}
    groups: dict[str, list[Operation]] = {}
    for operation in _operations(document):
        groups.setdefault(operation.found["tags"][0], []).append(operation)
    schemas = document["components"]["schemas"]
    return environment.get_template("page.html").render(
        info=document["info"], groups=groups, schemas=dict(sorted(schemas.items()))
    )


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, operations in document["paths"].items():
        for method, found in operations.items():
            yield Operation(method.upper(), path, found["operationId"], found)


def prose(text: str) -> Markup:
    """Return a description as HTML: its paragraphs, and `code` in backticks."""
    paragraphs = [each for each in re.split(r"\n\s*\n", text.strip()) if each]
    return Markup("\n").join(Markup("<p>{}</p>").format(_code(each)) for each in paragraphs)


def _code(text: str) -> Markup:
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def limits(schema: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the limits of a value as pairs of words and value."""
    for choice in schema.get("anyOf", []):
        schema = {**choice, **schema}
    return [(words, schema[key]) for key, words in _LIMITS.items() if key in schema]


def schema_name(reference: str) -> str:
    """Return the name in a reference: `Step` in `#/components/schemas/Step`."""
    return reference.rpartition("/")[2]
