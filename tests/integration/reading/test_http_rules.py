"""The rules of HTTP that hold for every route: methods, query parameters, caching of errors."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta, timezone
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepway.api.auth.policy import ROUTES
from tests.integration.reading.conftest import STEPS, Serve, Writer
from tests.integration.reading.test_api_read_projects import at, problem

UNKNOWN = UUID("11111111-1111-4111-8111-111111111111")


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PATHS = sorted({path for _, path in ROUTES})


def filled(path: str, project_id: object = "") -> str:
    """The path of a route with values in place of its parameters."""
    names = {"project_id": project_id or uuid4(), "step": STEPS[-1], "name": "web-service"}
    return path.format(**names)


@pytest.mark.parametrize("path", PATHS)
async def test_another_method_is_405_and_allow_names_all(
    http: httpx.AsyncClient, path: str
) -> None:
    allowed = {method for method, each in ROUTES if each == path}
    allowed |= {"HEAD"} if "GET" in allowed else set()
    for method in set(METHODS) - allowed:
        answer = await http.request(method, filled(path))
        assert answer.status_code == 405, method
        assert set(answer.headers["allow"].split(", ")) == allowed
        if method != "HEAD":
            problem(answer, 405)


@pytest.mark.parametrize("path", ["/api/nothing", "/healthz/x", "/api", "/metrics/x"])
async def test_a_path_that_is_not_there_is_404_for_every_method(
    http: httpx.AsyncClient, path: str
) -> None:
    for method in METHODS:
        assert (await http.request(method, path)).status_code == 404, method


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/projects/x"])
async def test_405_of_the_page_names_its_methods(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.post(path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", sorted(path for method, path in ROUTES if method == "GET"))
async def test_head_is_get_without_the_body(
    http: httpx.AsyncClient, writer: Writer, path: str
) -> None:
    project_id = await writer.project()
    await writer.end(project_id, "active")
    url = filled(path, project_id)
    async with http.stream("GET", url) as got:
        head = await http.head(url)
        assert head.status_code == got.status_code
        assert head.content == b""
        for name in ("content-type", "cache-control", "content-security-policy"):
            assert head.headers.get(name) == got.headers.get(name)
        if path not in ("/metrics", "/readyz") and "content-length" in got.headers:
            assert head.headers["content-length"] == got.headers["content-length"]


async def test_head_of_a_stream_opens_none(serve: Serve, writer: Writer) -> None:
    project_id = await writer.project()
    async with serve() as site, site.client() as client:
        answer = await client.head(at(project_id, "/initialization/events"))
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert site.hub.streams == 0
        missing = await client.head(at(uuid4(), "/initialization/events"))
        assert missing.status_code == 404
        metrics = (await client.get("/metrics")).text
        assert 'method="HEAD",route="/api/projects/{project_id}/initialization/events"' in metrics


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES))
async def test_unknown_query_parameters_are_refused_by_every_route(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await http.request(method, filled(path), params={"unheard/of": "secret"})
    if answer.status_code == 404:
        pytest.fail("the project is looked up first")
    found = problem(answer, 422)
    [error] = found["errors"]
    assert error["name"] == "unheard/of"
    assert error["pointer"] == "/query/unheard~1of"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limt=3", "limt: unknown query parameter; did you mean limit? available: "),
        ("Status=failed", "did you mean status?"),
        ("page=2", "page: unknown query parameter; available: status, limit, cursor"),
    ],
)
async def test_a_typo_in_a_query_parameter_is_explained(
    http: httpx.AsyncClient, query: str, said: str
) -> None:
    assert said in problem(await http.get(f"/api/projects?{query}"), 422)["detail"]


async def test_a_path_without_query_parameters_says_so(http: httpx.AsyncClient) -> None:
    found = problem(await http.get("/healthz?x=1"), 422)
    assert found["detail"] == "x: unknown query parameter; this path takes none"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/projects?cursor=x", 400),
        ("GET", "/api/nothing", 404),
        ("GET", f"/api/projects/{UNKNOWN}", 404),
        ("GET", "/assets/nothing.js", 404),
        ("PUT", "/api/projects", 405),
        ("GET", "/api/projects?limit=0", 422),
        ("GET", "/api/projects/nonsense", 422),
        ("GET", "/readyz", 503),
    ],
)
async def test_no_problem_is_stored_by_caches(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path)
    problem(answer, status)
    assert answer.headers["cache-control"] == "no-store"


async def test_a_body_that_is_too_large_is_a_problem_that_is_not_stored(
    http: httpx.AsyncClient,
) -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(300):
            yield b"x" * 1024

    for body in (b"x" * 300_000, chunks()):
        answer = await http.post("/api/projects", content=body)
        problem(answer, 413)
        assert answer.headers["cache-control"] == "no-store"


async def test_the_end_of_a_stream_is_not_stored(http: httpx.AsyncClient, writer: Writer) -> None:
    project_id = await writer.project()
    await writer.end(project_id, "active")
    version = (await http.get(at(project_id))).json()["version"]
    answer = await http.get(at(project_id, f"/initialization/events?after={version}"))
    assert answer.status_code == 204
    assert answer.headers["cache-control"] == "no-store"


def _cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode(errors="surrogatepass")).decode()


OFFSETS = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59))
TIMES = st.one_of(
    st.datetimes(timezones=st.builds(timezone, OFFSETS)),
    st.builds(
        lambda edge, offset: datetime(*edge, tzinfo=timezone(offset)),
        st.sampled_from([(1, 1, 1), (9999, 12, 31, 23)]),
        OFFSETS,
    ),
)
CURSORS = st.one_of(
    st.text(),
    st.binary().map(lambda raw: urlsafe_b64encode(raw).decode()),
    st.builds(lambda at, id: _cursor(f"{at.isoformat()}|{id}"), TIMES, st.uuids()),
    st.builds(lambda at, rest: _cursor(f"{at}|{rest}"), st.text(), st.text()),
)


@given(cursor=CURSORS)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_crafted_cursor_is_400_or_a_page(http: httpx.AsyncClient, cursor: str) -> None:
    answer = await http.get("/api/projects", params={"cursor": cursor})
    if answer.status_code != 200:
        assert "cursor" in problem(answer, 400)["detail"].lower()


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
async def test_a_cursor_beyond_the_calendar_is_400(http: httpx.AsyncClient, moment: str) -> None:
    cursor = _cursor(f"{moment}|{uuid4()}")
    problem(await http.get("/api/projects", params={"cursor": cursor}), 400)


@pytest.mark.parametrize(
    "cursor",
    [
        f"2026-01-01T00:00:00|{UNKNOWN}",
        f"2026-01-01T00:00:00+02:00|{UNKNOWN}",
        f"2026-01-01 00:00:00+00:00|{UNKNOWN}",
        f"2026-01-01T00:00:00+00:00|{UNKNOWN.hex}",
        f"2026-01-01T00:00:00+00:00|{{{UNKNOWN}}}",
        f"2026-01-01T00:00:00+00:00|{UNKNOWN}|",
    ],
)
async def test_a_cursor_in_another_form_than_ours_is_400(
    http: httpx.AsyncClient, cursor: str
) -> None:
    problem(await http.get("/api/projects", params={"cursor": _cursor(cursor)}), 400)


async def test_characters_that_are_not_base64_make_a_cursor_invalid(
    http: httpx.AsyncClient,
) -> None:
    ours = _cursor(f"2026-01-01T00:00:00+00:00|{uuid4()}")
    assert (await http.get("/api/projects", params={"cursor": ours})).status_code == 200
    problem(await http.get("/api/projects", params={"cursor": f"{ours[:4]}!{ours[4:]}"}), 400)


@pytest.mark.parametrize("version", ["9" * 19, "9" * 18, "1" + "0" * 30, f"{2**63}"])
async def test_a_version_from_the_far_future_gets_a_snapshot(
    http: httpx.AsyncClient, writer: Writer, version: str
) -> None:
    path = at(await writer.project(), f"/initialization/events?after={version}")
    async with http.stream("GET", path) as response:
        assert response.status_code == 200
        assert "event: snapshot" in await anext(response.aiter_text())
