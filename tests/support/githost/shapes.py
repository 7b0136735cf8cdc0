"""Checks requests and answers against the host's own OpenAPI document."""

from __future__ import annotations

import json
import os
import re
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.responses.exceptions import ResponseNotFound
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.support.githost.answers import Answer, Request

ROOT = Path(__file__).parents[3]
_SERVER = "http://host"


def test_data() -> Path | None:
    """Return the folder of shared test data, or None if this machine has none.

    It is named by STEPWAY_TESTDATA; else it is `../shared/testdata` beside the repository.
    """
    if given := os.environ.get("STEPWAY_TESTDATA"):
        return Path(given)
    for root in (ROOT, _main_worktree()):
        folder = root.parent / "shared" / "testdata"
        if folder.is_dir():
            return folder
    return None


def _main_worktree() -> Path:
    """Return the folder of the main worktree: `.git` is a file in the others."""
    git = ROOT / ".git"
    if not git.is_file():
        return ROOT
    return Path(git.read_text().removeprefix("gitdir:").strip()).parents[2]


@dataclass(frozen=True)
class _Asked:
    """A request in the form that openapi-core reads."""

    host_url: str
    path: str
    method: str
    parameters: RequestParameters
    content_type: str
    body: bytes | None


@dataclass(frozen=True)
class _Answered:
    """An answer in the form that openapi-core reads."""

    status_code: int
    content_type: str
    headers: Headers
    data: bytes


@dataclass
class Shapes:
    """One document; `violations` collects what does not fit it."""

    api: OpenAPI
    paths: dict[str, dict[str, Any]]
    schemas: dict[str, Any]
    parameters: dict[str, Any]
    unchecked: re.Pattern[str]
    violations: list[str] = field(default_factory=list)

    def check(self, request: Request, answer: Answer) -> None:
        """Compare a request and the host's own answer with the document.

        An error or redirect that the document does not list is accepted: hosts list few.
        """
        where = f"{request.method} {request.path}"
        if self.unchecked.match(where):
            return
        asked = _Asked(
            _SERVER,
            self._one_segment(request.path),
            request.method.lower(),
            RequestParameters(
                query=ImmutableMultiDict(request.query), header=Headers(dict(request.headers))
            ),
            request.headers.get("content-type", "") or "application/json",
            request.body or None,
        )
        answered = _Answered(
            answer.status,
            answer.headers.get("Content-Type", answer.media_type),
            Headers(answer.headers),
            answer.body,
        )
        try:
            if answer.status not in (400, 415, 422):
                self.api.validate_request(asked)
        except OpenAPIError as error:
            self._note(f"{where}: request: {_said(error)}")
            if isinstance(error, PathError):
                return
        try:
            self.api.validate_response(asked, answered)  # type: ignore[arg-type]
        except ResponseNotFound:
            if answer.status < 300:
                self._note(f"{where}: the document has no answer {answer.status}")
        except OpenAPIError as error:
            self._note(f"{where}: answer {answer.status}: {_said(error)}")

    def filled(self, schema: str, values: dict[str, Any]) -> dict[str, Any]:
        """Return an object of a schema with these values, and samples for all else it requires."""
        whole = {**self.schemas[schema], "nullable": False}
        return _merged(deepcopy(_sample(self.schemas, whole)), values)

    def _note(self, violation: str) -> None:
        if violation not in self.violations:
            self.violations.append(violation)

    def _multi(self, operations: dict[str, Any]) -> set[str]:
        """Return the names of the parameters that take several segments."""
        given = list(operations.get("parameters", ()))
        for operation in operations.values():
            given += operation.get("parameters", ()) if isinstance(operation, dict) else ()
        known = self.parameters
        found = [known[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in given]
        return {one["name"] for one in found if one.get("x-multi-segment")}

    def _one_segment(self, path: str) -> str:
        """Return the path with a parameter of several segments as one, as openapi-core needs."""
        parts = path.strip("/").split("/")
        if any(_fits(template.strip("/").split("/"), parts) for template in self.paths):
            return path
        for template, operations in self.paths.items():
            wanted = template.strip("/").split("/")
            last = wanted[-1]
            if len(parts) <= len(wanted) or not last.startswith("{"):
                continue
            if last[1:-1] not in self._multi(operations):
                continue
            if _fits(wanted[:-1], parts[: len(wanted) - 1]):
                rest = unquote("/".join(parts[len(wanted) - 1 :]))
                return "/" + "/".join([*parts[: len(wanted) - 1], quote(rest, safe="")])
        return path


def _fits(template: list[str], parts: list[str]) -> bool:
    return len(template) == len(parts) and all(
        wanted.startswith("{") or wanted == part
        for wanted, part in zip(template, parts, strict=True)
    )


def _said(error: BaseException) -> str:
    cause = error.__cause__
    errors = list(getattr(cause, "schema_errors", ()) or getattr(error, "schema_errors", ()))
    if errors:
        return "; ".join(
            f"{'.'.join(map(str, one.absolute_path)) or 'body'}: {one.message[:200]}"
            for one in errors[:5]
        )
    return f"{error}{f': {cause}' if cause else ''}"[:400]


def _sample(schemas: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Return the smallest value that fits a schema."""
    if "$ref" in schema:
        return _sample(schemas, schemas[schema["$ref"].rpartition("/")[2]])
    if schema.get("nullable"):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    if "allOf" in schema:
        whole: dict[str, Any] = {}
        for part in schema["allOf"]:
            whole |= _sample(schemas, part) or {}
        return whole
    for choice in ("oneOf", "anyOf"):
        if choice in schema and "properties" not in schema:
            return _sample(schemas, schema[choice][0])
    if schema.get("type") == "object" or "properties" in schema:
        fields = schema.get("properties", {})
        return {name: _sample(schemas, fields[name]) for name in schema.get("required", ())}
    if schema.get("type") == "string":
        return _TEXTS.get(schema.get("format", ""), "")
    return {"array": [], "integer": 1, "number": 1, "boolean": False}.get(schema.get("type", ""))


_TEXTS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "uri": "https://host.example/",
    "email": "erin@host.example",
}


def _merged(sample: Any, values: dict[str, Any]) -> dict[str, Any]:
    merged = dict(sample or {})
    for name, value in values.items():
        deeper = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if deeper else value
    return merged


_WRONG = {"gitlab.json": {"shared_with_groups"}}
"""Fields whose type a document gives wrongly: GitLab's groups are objects, not texts."""


def _without_wrong(schemas: dict[str, Any], name: str) -> None:
    for schema in schemas.values():
        for field_name in _WRONG.get(name, set()) & set(schema.get("properties", ())):
            schema["properties"][field_name] = {"nullable": True}


@cache
def _document(name: str) -> tuple[OpenAPI, dict[str, Any]] | None:
    folder = test_data()
    file = folder / "openapi" / name if folder else None
    if file is None or not file.is_file():
        return None
    document = json.loads(file.read_text())
    document["servers"] = [{"url": _SERVER}]
    _without_wrong(document.get("components", {}).get("schemas", {}), name)
    return OpenAPI.from_dict(document), document


def load_shapes(name: str, unchecked: str = "$.") -> Shapes | None:
    """Return the checks of a document; None if this machine has no test data.

    Requests whose `METHOD /path` matches `unchecked` are not in the document, and not compared.
    """
    if (found := _document(name)) is None:
        return None
    api, document = found
    parts = document.get("components", {})
    return Shapes(
        api,
        document["paths"],
        parts.get("schemas", {}),
        parts.get("parameters", {}),
        re.compile(unchecked),
    )
