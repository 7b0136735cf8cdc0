"""The API as the client commands use it: JSON objects in and out, failures as clear lines."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
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
from stepway.runtime.settings import load_settings

Json: TypeAlias = dict[str, Any]

_LOCAL_NAMES = ("localhost", "")
# A start or a control may wait for a worker; the API answers 503 well before this many seconds.
_TIMEOUT = httpx.Timeout(60, connect=5)
# The stream says something at least every 15 s; three times that is silence.
_STREAM_TIMEOUT = httpx.Timeout(45, connect=5)
_PAGE = 100


class Api:
    """The API at one address. Paths start below `/api`, as in `/projects`."""

    def __init__(
        self, url: str, token: str = "", transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=f"{url}/api",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_TIMEOUT,
            transport=transport,
            # A proxy from the environment cannot reach this machine's own loopback.
            trust_env=not _is_loopback(url),
        )

    def get(self, path: str, **params: Any) -> Any:
        """The JSON at `path`. Raises ApiUnreachable, ApiRefused."""
        given = {name: value for name, value in params.items() if value is not None}
        try:
            return _answer(self._http.get(path, params=given))
        except httpx.TransportError as error:
            raise ApiUnreachable(self.url) from error

    def post(self, path: str, body: Json, headers: dict[str, str] | None = None) -> Any:
        """The answer's JSON. Raises ApiUnreachable, AnswerLost, ApiRefused."""
        try:
            return _answer(self._http.post(path, json=body, headers=headers))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ApiUnreachable(self.url) from error
        except httpx.TransportError as error:
            raise AnswerLost(self.url) from error

    @contextmanager
    def events(self, project_id: str, after: str) -> Iterator[EventSource | None]:
        """The open event stream after version `after`; None when it ended there (204).

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

    def initialization(self, project_id: str) -> Json:
        """`{project, steps, progress, version}` as it is now."""
        found: Json = self.get(f"/projects/{project_id}/initialization")
        return found

    def projects(self, **filters: Any) -> Iterator[Json]:
        """The projects, newest first, page by page."""
        cursor = None
        while True:
            page = self.get("/projects", cursor=cursor, **filters)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def find(self, project: str) -> str:
        """The id of the project of that id or name.

        Raises ClientError when there is none, or when several owners have one of that name.
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
    """The API that the settings name. Raises ClientError, SettingsError."""
    settings = load_settings()
    try:
        return Api(settings.api_url, settings.api_token)
    except httpx.InvalidURL as error:
        raise ClientError(f"STEPWAY_API_URL: {error}") from error


def step_path(project_id: str, step: str, action: str) -> str:
    """Where a step's `action` (retry, skip, attempts) is."""
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
