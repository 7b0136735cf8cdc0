"""The API's page at /docs: complete, and served from here alone."""

from __future__ import annotations

import re

import httpx

from stepway.api.auth.policy import ROUTES
from stepway.api.routes.docs_page import render
from tests.integration.reading.conftest import Site

UNDOCUMENTED = {"/metrics"}


async def test_every_route_and_every_object_is_on_the_page(
    http: httpx.AsyncClient, site: Site
) -> None:
    answer = await http.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    plain = re.sub(r"<[^>]+>", "", answer.text)
    for method, path in ROUTES:
        assert (f"{method} {path}" in plain) == (path not in UNDOCUMENTED)
    anchors = set(re.findall(r'id="([^"]+)"', answer.text))
    assert {f"schema-{name}" for name in site.app.openapi()["components"]["schemas"]} <= anchors
    assert set(re.findall(r'href="#([^"]+)"', answer.text)) <= anchors


async def test_the_page_takes_all_it_needs_from_beside_it(http: httpx.AsyncClient) -> None:
    """Its links are relative, so that it also works below another path."""
    answer = await http.get("/docs")
    links = re.findall(r'(?:href|src)="([^#"][^"]*)"', answer.text)
    assert links == ["docs/page.css", "openapi.json"]
    for link in links:
        assert (await http.get(str(answer.url.join(link)))).status_code == 200
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", answer.text)


async def test_texts_of_the_document_are_escaped() -> None:
    operation = {
        "tags": ["<b>"],
        "operationId": "one",
        "summary": "One",
        "description": "First & `a < b`.\n\nSecond.",
        "responses": {"200": {"description": "<i>"}},
    }
    page = render(
        {
            "info": {"title": "<x>", "version": "1"},
            "paths": {"/p": {"get": operation}},
            "components": {"schemas": {}},
        }
    )
    assert "<p>First &amp; <code>a &lt; b</code>.</p>\n<p>Second.</p>" in page
    assert not {"<b>", "<i>", "<x>"} & set(re.findall(r"<[^>]+>", page))
    assert "Needs no sign-in." in page
