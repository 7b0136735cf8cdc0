"""Requests and answers of the host's API, and the routes of a surface."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote

from tests.support.githost.state import Token


@dataclass
class Answer:
    """An answer; `data` is sent as JSON unless it is text, None as no content."""

    status: int
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The bytes to send."""
        if self.data is None:
            return b""
        return (self.data if isinstance(self.data, str) else json.dumps(self.data)).encode()

    @property
    def media_type(self) -> str:
        """The Content-Type, unless `headers` has one."""
        return "text/html" if isinstance(self.data, str) else "application/json"


class Refused(Exception):
    """Ends the handling of a request with an error answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass
class Request:
    """A request to the API; `path` is raw, below the API's address."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    token: Token | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """What a surface notes about the request."""

    @property
    def account(self) -> str:
        """The account behind the token; empty without one."""
        return self.token.account if self.token else ""

    @property
    def json(self) -> Any:
        """The body's JSON; an empty object without a body. Raises ValueError."""
        return json.loads(self.body) if self.body else {}


_Handler = TypeVar("_Handler", bound=Callable[..., Any])


def route(pattern: str) -> Callable[[_Handler], _Handler]:
    """Make a method of a surface answer `METHOD /path/{parameter}/{rest*}`.

    A parameter is one decoded segment; `{rest*}` takes all that follow. `*` is any method.
    """

    def mark(handler: _Handler) -> _Handler:
        handler.__dict__.setdefault("routes", []).append(pattern)
        return handler

    return mark


def matched(pattern: str, method: str, path: str) -> dict[str, str] | None:
    """Return the parameters of a route that matches; None if it does not."""
    wanted, _, template = pattern.partition(" ")
    parts, given = template.strip("/").split("/"), path.strip("/").split("/")
    if wanted not in (method, "*"):
        return None
    found = {}
    for index, part in enumerate(parts):
        if part.endswith("*}") and len(given) > index:
            found[part[1:-2]] = unquote("/".join(given[index:]))
            return found
        if index >= len(given):
            return None
        if part.startswith("{"):
            found[part[1:-1]] = unquote(given[index])
        elif part != given[index]:
            return None
    return found if len(parts) == len(given) else None
