"""The page of an initialization already shows where it stands, before any script has run."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from stepway.api.routes import first_paint, pages
from stepway.api.routes.first_paint import picture
from tests.integration.reading.conftest import STEPS, Serve, Writer

EMPTY = '<!doctype html><html><body><div id="app"></div></body></html>'


@pytest.fixture
async def page(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "index.html").write_text(EMPTY)
    monkeypatch.setattr(pages, "BUILT", tmp_path)
    async with serve() as site, site.client() as client:
        yield client


async def test_steps_are_there_with_their_status(page: httpx.AsyncClient, writer: Writer) -> None:
    project_id = await writer.project("seen-at-once")
    await writer.start(project_id, STEPS[0])
    answer = await page.get(f"/projects/{project_id}")
    assert "seen-at-once" in answer.text
    found = re.findall(r'data-step="(\w+)" data-status="(\w+)"', answer.text)
    assert found == [(STEPS[0], "running"), (STEPS[1], "pending"), (STEPS[2], "pending")]
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_nothing_in_it_is_refused_by_the_content_security_policy(
    page: httpx.AsyncClient, writer: Writer
) -> None:
    answer = await page.get(f"/projects/{await writer.project()}")
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", answer.text)


@pytest.mark.parametrize("path", [str(uuid4()), "shop", "shop%20%3Cb%3E"])
async def test_what_is_not_there_is_left_to_the_page(page: httpx.AsyncClient, path: str) -> None:
    answer = await page.get(f"/projects/{path}")
    assert (answer.status_code, answer.text) == (200, EMPTY)
    assert answer.headers["cache-control"] == "no-cache"


async def test_page_comes_without_it_where_postgres_does_not_answer_in_time(
    page: httpx.AsyncClient, writer: Writer, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = await writer.project()
    monkeypatch.setattr(first_paint, "PATIENCE", 0.2)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE projects IN ACCESS EXCLUSIVE MODE")
        answer = await page.get(f"/projects/{project_id}")
    assert (answer.status_code, answer.text) == (200, EMPTY)
    monkeypatch.setattr(first_paint, "PATIENCE", 30.0)
    again = await page.get(f"/projects/{project_id}")
    assert STEPS[0] in again.text


def step(**more: Any) -> dict[str, Any]:
    given = {"step": "build", "display_name": "Build", "status": "pending", "metadata": None}
    return {**given, "parent_step": None, **more}


def initialization(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"project": {"name": "shop"}, "progress": 40, "steps": list(steps)}


def test_markup_in_a_name_is_text() -> None:
    shown = picture(initialization(step(display_name="<img src=x onerror=alert(1)>")), "en")
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "<img src=x" not in shown


def test_names_are_in_the_language_asked_for_and_sub_steps_are_left_out() -> None:
    names = {"display_names": {"zh": "构建", "en": "Build"}}
    steps = step(metadata=names), step(step="build.part", parent_step="build")
    shown = picture(initialization(*steps), "zh")
    assert "构建" in shown
    assert "build.part" not in shown
