"""Health, metrics, errors, OpenAPI and the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from stepway.api.routes import pages
from stepway.blueprints.errors import BlueprintError
from tests.integration.reading.conftest import Serve, Site, Writer


async def test_process_is_alive_and_says_what_is_missing(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["temporal"]


async def test_metrics_count_requests_by_route_and_streams(
    site: Site, http: httpx.AsyncClient, writer: Writer
) -> None:
    project_id = await writer.project()
    path = f"/api/projects/{project_id}/initialization/events"
    async with http.stream("GET", path) as response:
        await anext(response.aiter_text())
        await http.get(f"/api/projects/{project_id}")
        text = (await http.get("/metrics")).text
    assert f"stepway_streams_open {float(site.hub.streams)}" in text
    assert re.search(r"^stepway_events_sent_total [1-9]", text, re.M)
    assert re.search(r"^stepway_snapshots_read_total [1-9]", text, re.M)
    assert "stepway_publish_failures_total" in text
    labels = 'method="GET",route="/api/projects/{project_id}",status="200"'
    assert f"stepway_http_requests_total{{{labels}}}" in text
    assert str(project_id) not in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/api", 404),
        ("DELETE", "/api/projects", 405),
        ("POST", "/healthz", 405),
        ("GET", "/assets/nothing.js", 404),
    ],
)
async def test_every_error_is_a_problem(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert ("allow" in answer.headers) == (status == 405)


async def test_fault_of_ours_tells_a_number_and_nothing_else(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Any) -> None:
        raise ZeroDivisionError("secret")

    async with serve() as site, site.client() as client:
        site.app.router.routes.insert(0, Route("/broken", broken))
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    number = answer.json()["instance"].removeprefix("urn:uuid:")
    assert any(number in record.getMessage() for record in caplog.records)


async def test_openapi_documents_every_error_as_a_problem(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/openapi.json")).json()
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            assert "default" in responses, path
            for status, response in responses.items():
                if status == "default" or status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], path
    references = set(re.findall(r"#/components/schemas/(\w+)", str(schema)))
    assert references <= set(schema["components"]["schemas"])


async def test_without_the_page_one_line_says_what_to_run_and_the_api_works(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: Writer
) -> None:
    project_id = await writer.project()
    monkeypatch.setattr(pages, "BUILT", tmp_path)
    async with serve() as site, site.client() as client:
        for path in ("/", "/new", f"/projects/{project_id}", "/stepway-progress.js"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.headers["content-type"].startswith("text/plain")
            assert "scripts/web-build" in answer.text
            assert answer.text.count("\n") == 1
        assert (await client.get("/assets/nothing.js")).status_code == 404
        assert (await client.get("/healthz")).status_code == 200
        api = await client.get(f"/api/projects/{project_id}/initialization")
        assert api.json()["project"]["id"] == str(project_id)


async def test_bad_blueprint_stops_the_start_with_its_own_error(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text("name: [")
    with pytest.raises(BlueprintError, match=r"bad\.yaml"):
        async with serve(blueprints=[tmp_path]):
            pass


async def test_every_route_is_documented_or_meant_not_to_be(site: Site) -> None:
    app: FastAPI = site.app
    documented = set(app.openapi()["paths"])
    assert "/metrics" not in documented
    assert "/api/projects/{project_id}/initialization/events" in documented
