"""The routes of the service: pure functions from a query to a status and a JSON body."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

Query = Mapping[str, str]
Answer = tuple[HTTPStatus, dict[str, Any]]

MAX_NAME = 100
ABOUT: dict[str, str] = json.loads(
    Path(__file__).with_name("about.json").read_text(encoding="utf-8")
)


def health(query: Query) -> Answer:
    return HTTPStatus.OK, {"status": "ok"}


def about(query: Query) -> Answer:
    return HTTPStatus.OK, dict(ABOUT)


def greeting(query: Query) -> Answer:
    name = query.get("name", "").strip() or "world"
    if len(name) > MAX_NAME:
        return HTTPStatus.BAD_REQUEST, {"error": f"name is longer than {MAX_NAME} characters"}
    return HTTPStatus.OK, {"message": f"Hello, {name}!"}


ROUTES: dict[str, Callable[[Query], Answer]] = {
    "/healthz": health,
    "/api/about": about,
    "/api/greeting": greeting,
}


def answer(path: str, query: Query) -> Answer:
    """Return the response to a GET of `path`; 404 for an unknown path."""
    route = ROUTES.get(path)
    if route is None:
        return HTTPStatus.NOT_FOUND, {"error": f"not found: {path}"}
    return route(query)
