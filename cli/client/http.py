"""HTTP client of the API: JSON in and out, errors as ClientError."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import quote
from uuid import UUID

import httpx
from httpx_sse import EventSource, connect_sse

from stepway.cli.client.errors import (
    AnswerLost,
    ApiRefused,
    ApiUnreachable,
    ClientError,
    problem_text,
)
from stepway.runtime.settings import check_token_source, load_settings

Json: TypeAlias = dict[str, Any]

_LOCAL_NAMES = ("localhost", "")
# Starts and controls may wait for a worker; the API responds 503 long before this timeout.
_TIMEOUT = httpx.Timeout(60, connect=5)
# The stream sends at least a comment every 15 s.
_STREAM_TIMEOUT = httpx.Timeout(45, connect=5)
_PAGE = 100
_LARGEST_PAGE = 1000


class Api:
    """The API at one address. Paths are relative to `/api`: `/projects`."""

    def __init__(
        self, url: str, token: str = "", transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=f"{url}/api",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_TIMEOUT,
            # The logs of all steps that ran at once are read at once.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            transport=transport,
            # A proxy from the environment cannot reach this machine's loopback address.
            trust_env=not _is_loopback(url),
        )

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON at `path`. Raises ApiUnreachable, ApiRefused."""
        return _answer(self._got(path, params))

    def attempts(self, project_id: str, step: str) -> Iterator[Json]:
        """Yield the attempts at a step, oldest first, page by page."""
        path, params = step_path(project_id, step, "attempts"), {"limit": _LARGEST_PAGE}
        while True:
            response = self._got(path, params)
            page = _answer(response)
            yield from page
            if "next" not in response.links or not page:
                return
            query = httpx.URL(response.links["next"]["url"]).params
            params = {"limit": _LARGEST_PAGE, "after": query.get("after")}

    def attempt_numbers(
        self, project_id: str, steps: Iterable[Mapping[str, Any]]
    ) -> dict[str, int]:
        """Return the number of attempts of each step that ran in several rounds."""
        again = [one["step"] for one in steps if (one.get("round") or 0) > 1]
        return {step: sum(1 for _ in self.attempts(project_id, step)) for step in again}

    def _got(self, path: str, params: Json) -> httpx.Response:
        given = {name: value for name, value in params.items() if value is not None}
        try:
            return self._http.get(path, params=given)
        except httpx.TransportError as error:
            raise ApiUnreachable(self.url) from error

    def post(self, path: str, body: Json, headers: dict[str, str] | None = None) -> Any:
        """Post and return the response's JSON. Raises ApiUnreachable, AnswerLost, ApiRefused."""
        try:
            return _answer(self._http.post(path, json=body, headers=headers))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ApiUnreachable(self.url) from error
        except httpx.TransportError as error:
            raise AnswerLost(self.url) from error

    @contextmanager
    def events(self, project_id: str, after: str) -> Iterator[EventSource | None]:
        """Open the event stream after version `after`; yields None if no more events follow (204).

        Raises ApiRefused, httpx.TransportError.
        """
        path = f"/projects/{project_id}/initialization/events"
        headers = {"Last-Event-ID": after}
        with connect_sse(
            self._http, "GET", path, headers=headers, timeout=_STREAM_TIMEOUT
        ) as source:
            if source.response.status_code == httpx.codes.NO_CONTENT:
                yield None
                return
            if source.response.is_error:
                source.response.read()
                raise _refused(source.response)
            yield source

    def log_lines(self, project_id: str, step: str, params: Json) -> Iterator[Json]:
        """Yield the items of a log as they come. Raises ApiRefused, httpx.TransportError."""
        given = {name: value for name, value in params.items() if value is not None}
        path = step_path(project_id, step, "logs")
        with self._http.stream("GET", path, params=given, timeout=_STREAM_TIMEOUT) as response:
            if response.is_error:
                response.read()
                raise _refused(response)
            for line in response.iter_lines():
                if line.strip():
                    yield json.loads(line)

    def initialization(self, project_id: str) -> Json:
        """Return the current `{project, steps, progress, version}`."""
        found: Json = self.get(f"/projects/{project_id}/initialization")
        return found

    def projects(self, **filters: Any) -> Iterator[Json]:
        """Yield the projects, newest first; requests one page at a time."""
        cursor = None
        while True:
            page = self.get("/projects", cursor=cursor, **filters)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def find(self, project: str) -> str:
        """Return the ID of the project with that ID or name.

        Raises ClientError if no project has that name, or if projects of several owners have it.
        """
        if _is_uuid(project):
            return project
        found = [p for p in self.projects(limit=_PAGE) if p["name"] == project]
        if not found:
            raise ClientError(f"no project named {project!r}; see `stepway list`")
        if len(found) > 1:
            owners = "".join(f"\n  {p['id']}  owner {p['owner']}" for p in found)
            raise ClientError(f"several projects are named {project!r}; use the ID:{owners}")
        return str(found[0]["id"])


def connect() -> Api:
    """Return a client for STEPWAY_API_URL. Raises ClientError, SettingsError.

    The `.env` of the current folder may be somebody else's: it must not get the user's token.
    """
    settings = load_settings()
    check_token_source(settings)
    try:
        return Api(settings.api_url, settings.api_token)
    except httpx.InvalidURL as error:
        raise ClientError(f"STEPWAY_API_URL: {error}") from error


def step_path(project_id: str, step: str, action: str) -> str:
    """Return the path of a step's `action`: retry, skip, attempts or logs."""
    return f"/projects/{project_id}/initialization/steps/{quote(step, safe='')}/{action}"


def _answer(response: httpx.Response) -> Any:
    if not response.is_success:
        raise _refused(response)
    try:
        return response.json()
    except ValueError as error:
        raise _refused(response) from error


def _refused(response: httpx.Response) -> ApiRefused:
    if "json" not in response.headers.get("content-type", ""):
        where = f"{response.status_code} from {response.url}"
        return ApiRefused(
            response.status_code, f"{where}: not a Stepway API; check STEPWAY_API_URL"
        )
    return ApiRefused(response.status_code, problem_text(response.status_code, response.json()))


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOCAL_NAMES


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
