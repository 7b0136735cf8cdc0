"""Reading projects, initializations and statistics over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from stepway.api.schemas import Attempt
from tests.integration.reading.conftest import STEPS, Serve, Writer


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found


def at(project_id: UUID, rest: str = "") -> str:
    return f"/api/projects/{project_id}{rest}"


async def test_initialization_is_one_consistent_answer(
    http: httpx.AsyncClient, writer: Writer
) -> None:
    project_id = await writer.project()
    await writer.start(project_id, "finalize")
    found = (await http.get(at(project_id, "/initialization"))).json()
    assert found["version"] == found["project"]["version"] == 2
    assert [step["step"] for step in found["steps"]] == list(STEPS)
    assert found["steps"][-1]["status"] == "running"
    assert (await http.get(at(project_id))).json() == found["project"]
    steps = (await http.get(at(project_id, "/initialization/steps"))).json()
    assert steps == found["steps"]


async def test_list_pages_through_all_projects_newest_first(
    http: httpx.AsyncClient, writer: Writer
) -> None:
    made = [str(await writer.project()) for _ in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(200):
        params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/api/projects", params=params)).json()
        assert len(page["items"]) <= 3
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen[:7] == made[::-1]
    assert len(seen) == len(set(seen))


async def test_projects_of_the_same_moment_are_not_skipped(
    http: httpx.AsyncClient, writer: Writer, pool: asyncpg.Pool
) -> None:
    made = [await writer.project() for _ in range(5)]
    moment = datetime.now(UTC) + timedelta(days=1)
    await pool.execute(
        "UPDATE projects SET created_at = $1, status = 'archived' WHERE id = ANY($2)", moment, made
    )
    seen: list[str] = []
    params = {"limit": "2", "status": "archived"}
    while True:
        page = (await http.get("/api/projects", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert sorted(seen) == sorted(map(str, made))


async def test_list_is_filtered_by_status(http: httpx.AsyncClient, writer: Writer) -> None:
    ended = await writer.project()
    await writer.end(ended, "active")
    await writer.project()
    items = (await http.get("/api/projects", params={"status": "active"})).json()["items"]
    assert {item["status"] for item in items} == {"active"}
    assert str(ended) in {item["id"] for item in items}


@pytest.mark.parametrize("cursor", ["x", "eA==", "", "\u00e9", "AAAA", "MjAyNi0wMS0wMXx4"])
async def test_invalid_cursor_is_refused(http: httpx.AsyncClient, cursor: str) -> None:
    found = problem(await http.get("/api/projects", params={"cursor": cursor}), 400)
    assert "cursor" in found["detail"]


@pytest.mark.parametrize(
    ("query", "name"),
    [("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("status=no", "status")],
)
async def test_bad_query_is_named(http: httpx.AsyncClient, query: str, name: str) -> None:
    found = problem(await http.get(f"/api/projects?{query}"), 422)
    assert found["errors"][0]["name"] == name
    assert found["errors"][0]["pointer"] == f"/query/{name}"
    assert name in found["detail"]


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "/initialization",
        "/initialization/steps",
        "/initialization/steps/finalize/attempts",
        "/initialization/history",
        "/initialization/events",
    ],
)
async def test_unknown_project_is_not_found(http: httpx.AsyncClient, rest: str) -> None:
    unknown = uuid4()
    assert str(unknown) in problem(await http.get(at(unknown, rest)), 404)["detail"]
    found = problem(await http.get(f"/api/projects/nonsense{rest}"), 422)
    assert found["detail"].startswith("project_id: must be a UUID such as ")


async def test_malformed_input_is_refused_in_plain_sentences(http: httpx.AsyncClient) -> None:
    asked = await http.get("/api/analytics/steps?since=yesterday")
    said = "since: must be an ISO 8601 date or time, for example 2026-11-25"
    assert problem(asked, 422)["detail"] == said
    for reason in ("", " "):
        asked = await http.post(
            at(uuid4(), "/initialization/steps/finalize/skip"), json={"reason": reason}
        )
        assert problem(asked, 422)["detail"] == "reason: must not be empty"


async def test_attempts_of_an_unknown_step_or_part_are_not_found(
    http: httpx.AsyncClient, writer: Writer, pool: asyncpg.Pool
) -> None:
    project_id = await writer.project()
    for unknown in ("nope", "nope.part", "finalize.nope"):
        path = at(project_id, f"/initialization/steps/{unknown}/attempts")
        assert "Unknown step" in problem(await http.get(path), 404)["detail"]
    await pool.execute(
        """
        INSERT INTO project_initialization_steps
          (project_id, step, display_name, sequence, status, parent_step)
        VALUES ($1, 'finalize.part', 'Part', 99, 'running', 'finalize')
        """,
        project_id,
    )
    path = at(project_id, "/initialization/steps/finalize.part/attempts")
    assert (await http.get(path)).json() == []


async def test_attempts_tell_each_try(http: httpx.AsyncClient, writer: Writer) -> None:
    project_id = await writer.project()
    path = at(project_id, "/initialization/steps/finalize/attempts")
    assert (await http.get(path)).json() == []
    await writer.start(project_id, "finalize")
    await writer.step(project_id, "finalize", "attempt_failed", error="no", error_stack="at a.py")
    (attempt,) = (await http.get(path)).json()
    assert attempt["error"] == "no"
    assert attempt["error_stack"] == "at a.py"
    assert attempt["outcome"] == "failed"


async def all_pages(http: httpx.AsyncClient, path: str) -> list[list[Any]]:
    """Every page of attempts, as its `Link` headers say."""
    pages = []
    following: str | None = path
    while following:
        answer = await http.get(following)
        pages.append(answer.json())
        following = answer.links.get("next", {}).get("url")
    return pages


async def test_attempts_are_paged(
    http: httpx.AsyncClient, writer: Writer, pool: asyncpg.Pool
) -> None:
    project_id = await writer.project()
    path = at(project_id, "/initialization/steps/finalize/attempts")
    await pool.execute(
        """
        INSERT INTO project_initialization_attempts
          (project_id, step, round, attempt, started_at, error)
        SELECT $1, 'finalize', 1 + number / 6000, 1 + number % 6000, now(), 'error ' || number
        FROM generate_series(0, 9999) number
        """,
        project_id,
    )
    pages = await all_pages(http, f"{path}?limit=1000")
    assert [len(page) for page in pages] == [1000] * 10
    errors = [attempt["error"] for page in pages for attempt in page]
    assert errors == [f"error {number}" for number in range(10_000)]
    assert set(pages[0][0]) == set(Attempt.model_fields)
    assert len((await http.get(path)).json()) == 100
    assert (await http.get(f"{path}?after=10000")).json() == []
    assert problem(await http.get(f"{path}?after=-1"), 422)["errors"][0]["name"] == "after"


async def test_a_page_of_long_errors_is_shorter(
    http: httpx.AsyncClient, writer: Writer, pool: asyncpg.Pool
) -> None:
    project_id = await writer.project()
    await pool.execute(
        """
        INSERT INTO project_initialization_attempts
          (project_id, step, round, attempt, started_at, error, error_stack)
        SELECT $1, 'finalize', 1, number, now(), repeat('e', 900000), repeat('s', 900000)
        FROM generate_series(1, 3) number
        """,
        project_id,
    )
    path = at(project_id, "/initialization/steps/finalize/attempts")
    assert [len(page) for page in await all_pages(http, path)] == [1, 1, 1]


async def test_unknown_step_is_not_found_and_says_which_exist(
    http: httpx.AsyncClient, writer: Writer
) -> None:
    project_id = await writer.project()
    answer = await http.get(at(project_id, "/initialization/steps/deploy/attempts"))
    detail = problem(answer, 404)["detail"]
    assert all(step in detail for step in STEPS)


async def test_history_pages_through_what_happened(http: httpx.AsyncClient, writer: Writer) -> None:
    project_id = await writer.project()
    await writer.start(project_id, "finalize")
    await writer.step(project_id, "finalize", "progressed", progress=40, message="halfway")
    await writer.step(project_id, "finalize", "completed")
    path = at(project_id, "/initialization/history")
    page = (await http.get(path, params={"limit": 2})).json()
    assert [event["action"] for event in page["items"]] == ["planned", "started"]
    rest = (await http.get(path, params={"after": page["next_after"]})).json()
    assert [event["action"] for event in rest["items"]] == ["completed"]
    assert rest["next_after"] is None
    whole = (await http.get(path, params={"progress": "true"})).json()
    assert [event["version"] for event in whole["items"]] == [1, 2, 3, 4]


@pytest.mark.parametrize("query", ["after=-1", "after=x", f"after={2**63}", "limit=0"])
async def test_bad_history_query_is_named(
    http: httpx.AsyncClient, writer: Writer, query: str
) -> None:
    path = at(await writer.project(), f"/initialization/history?{query}")
    assert problem(await http.get(path), 422)["errors"][0]["name"] == query.partition("=")[0]


async def test_statistics_of_steps(http: httpx.AsyncClient, writer: Writer) -> None:
    blueprint = f"b{uuid4().hex[:8]}"
    for outcome in ("completed", "completed", "failed"):
        project_id = await writer.project(blueprint=blueprint)
        await writer.start(project_id, "finalize")
        await writer.step(project_id, "finalize", outcome)
    path = "/api/analytics/steps"
    (found,) = (await http.get(path, params={"blueprint": blueprint})).json()
    assert (found["step"], found["runs"], found["failures"]) == ("finalize", 3, 1)
    assert 0 <= found["p50"] <= found["p95"] <= found["max"]
    for since, count in (("2020-01-01", 1), ("2999-01-01", 0), ("2020-01-01T00:00:00Z", 1)):
        answer = await http.get(path, params={"blueprint": blueprint, "since": since})
        assert len(answer.json()) == count


@pytest.mark.parametrize(
    "query",
    ["since=yesterday", "blueprint=%00", "since=2026-02-30", "since=0001-01-01T00:00%2B10:00"],
)
async def test_bad_statistics_query_is_named(http: httpx.AsyncClient, query: str) -> None:
    found = problem(await http.get(f"/api/analytics/steps?{query}"), 422)
    assert found["errors"][0]["name"] == query.partition("=")[0]


async def test_blueprints_are_described(http: httpx.AsyncClient) -> None:
    names = [blueprint["name"] for blueprint in (await http.get("/api/blueprints")).json()]
    assert "web-service" in names
    found = (await http.get("/api/blueprints/web-service")).json()
    assert found["title"]["en"]
    assert found["parameters"]["type"] == "object"
    assert found["steps"][0]["step"] == "resolve_credentials"
    assert "web-servis" in problem(await http.get("/api/blueprints/web-servis"), 404)["detail"]


async def test_nul_in_a_path_is_refused(http: httpx.AsyncClient, writer: Writer) -> None:
    path = at(await writer.project(), "/initialization/steps/a%00b/attempts")
    assert "NUL" in problem(await http.get(path), 422)["detail"]


async def test_postgres_away_is_503_that_says_when_to_come_again(serve: Serve) -> None:
    nowhere = "postgresql://somebody:hunter2@127.0.0.1:1/nothing"
    async with serve(database_url=nowhere) as site, site.client() as client:
        for path in ("/api/projects", at(uuid4()), at(uuid4(), "/initialization/events")):
            answer = await client.get(path)
            problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
            assert "hunter2" not in answer.text
        found = problem(await client.get("/readyz"), 503)
        assert found["missing"] == ["postgres", "temporal"]
