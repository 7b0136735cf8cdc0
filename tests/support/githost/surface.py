"""What each kind of host adds to the common part of the host for tests."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.support.githost.answers import Answer, Refused, Request, matched
from tests.support.githost.shapes import load_shapes
from tests.support.githost.state import Repository, Token, World


@dataclass(frozen=True)
class RefUpdate:
    """A branch that a push moves; `old` or `new` is None where it is created or deleted.

    `files` maps the path of each file that the push adds or changes to its content. `forced`: the
    old commit is not an ancestor of the new one.
    """

    ref: str
    old: str | None
    new: str | None
    files: dict[str, bytes] = field(default_factory=dict)
    forced: bool = False


@dataclass(frozen=True)
class PushRefusal:
    """The lines that Git shows behind `remote: `, and the reason behind `[remote rejected]`."""

    reason: str
    lines: tuple[str, ...] = ()


class Surface:
    """One kind of host. A subclass has `kind`, `api`, `document` and methods with `@route`."""

    kind: ClassVar[str]
    api: ClassVar[str]
    """The path of the API below the host's address."""
    document: ClassVar[str]
    """The name of the host's OpenAPI document."""
    unchecked: ClassVar[str] = "$."
    """`METHOD /path` of requests that the document does not have, as a regular expression."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.url = url
        self.shapes = load_shapes(self.document, self.unchecked)
        self._routes = [
            (pattern, handler)
            for name in dir(type(self))
            if callable(handler := getattr(self, name))
            for pattern in getattr(handler, "routes", ())
        ]
        # A literal segment wins over a parameter.
        self._routes.sort(key=lambda route: (route[0].count("{"), -route[0].count("/")))

    def filled(self, schema: str, values: dict[str, Any]) -> dict[str, Any]:
        """Return an object of a schema with these values; only these without the document."""
        return self.shapes.filled(schema, values) if self.shapes else values

    def answer(self, request: Request) -> Answer:
        """Answer a request: sign-in, then the handler of its route."""
        try:
            request.token = self.signed_in(request)
            answer = self.dispatched(request)
        except Refused as refused:
            answer = refused.answer
        return self.finished(request, answer)

    def dispatched(self, request: Request) -> Answer:
        """Call the handler of the request's route. Raises Refused."""
        for pattern, handler in self._routes:
            found = matched(pattern, request.method, request.path)
            if found is not None:
                given = handler(request, **found)
                return given if isinstance(given, Answer) else Answer(200, given)
        raise Refused(self.error(404, "Not Found"))

    def finished(self, request: Request, answer: Answer) -> Answer:
        """Return the answer with the headers that all answers of this host have."""
        return answer

    def conditional(self, request: Request, answer: Answer) -> Answer:
        """Return what is sent for an answer: "not modified" where the client has it already."""
        return answer

    def error(self, status: int, message: str, **more: Any) -> Answer:
        """Return an error answer in this host's form."""
        return Answer(status, {"message": message, **more})

    def signed_in(self, request: Request) -> Token | None:
        """Return the token of a request. Raises Refused for one that is wrong or missing."""
        raise NotImplementedError

    def token_of(self, headers: Mapping[str, str]) -> Token | None:
        """Return the token in a Basic, Bearer or `token` Authorization header, valid or not."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            value = base64.b64decode(value).decode().partition(":")[2]
        return self.world.tokens.get(value)

    def git_access(
        self, headers: Mapping[str, str], full_name: str, *, write: bool
    ) -> Repository | Answer:
        """Return the repository that Git may read or write, else the answer to Git."""
        raise NotImplementedError

    def refuse_push(
        self, token: Token | None, repository: Repository, update: RefUpdate
    ) -> PushRefusal | None:
        """Return why the push is refused, with the host's own texts; None if it is taken."""
        return None

    def after_push(self, repository: Repository) -> None:
        """Do what the host does when a push has been taken."""
