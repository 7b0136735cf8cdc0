"""The page of an initialization contains its steps before any script has run."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from stepway.api.routes import first_paint, pages
from stepway.api.routes.first_paint import LANGUAGES, SLOTS, FirstPaint, TemplateUnfit
from tests.integration.reading.conftest import STEPS, Serve, Writer

INDEX = pages.BUILT / "index.html"


@pytest.fixture(autouse=True)
def built() -> None:
    assert first_paint.is_built(pages.BUILT), "the page is not built: run scripts/web-build"


@pytest.fixture
async def page(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    async with serve() as site, site.client() as client:
        yield client


async def test_steps_are_there_with_their_status(page: httpx.AsyncClient, writer: Writer) -> None:
    project_id = await writer.project("seen-at-once")
    await writer.start(project_id, STEPS[0])
    answer = await page.get(f"/projects/{project_id}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "seen-at-once · Stepway</title>" in answer.text
    assert re.search(r"<h1[^>]*>seen-at-once</h1>", answer.text)
    assert f'href="/projects/{project_id}/history"' in answer.text
    found = re.findall(r'data-step="(\w+)" data-status="(\w+)"', answer.text)
    assert found == [(STEPS[0], "running"), (STEPS[1], "pending"), (STEPS[2], "pending")]
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_it_is_the_built_page_with_the_same_scripts_and_styles(
    page: httpx.AsyncClient, writer: Writer
) -> None:
    answer = await page.get(f"/projects/{await writer.project()}")
    assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', answer.text)
    assert assets
    assert assets == re.findall(r'(?:src|href)="(/assets/[^"]+)"', INDEX.read_text())


async def test_nothing_in_it_is_refused_by_the_content_security_policy(
    page: httpx.AsyncClient, writer: Writer
) -> None:
    project_id = await writer.project()
    await writer.start(project_id, STEPS[0])
    answer = await page.get(f"/projects/{project_id}")
    assert STEPS[0] in answer.text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.text)


@pytest.mark.parametrize("path", ["11111111-1111-4111-8111-111111111111", "shop", "shop%20%3Cb%3E"])
async def test_what_is_not_there_is_left_to_the_page(page: httpx.AsyncClient, path: str) -> None:
    answer = await page.get(f"/projects/{path}")
    assert (answer.status_code, answer.text) == (200, INDEX.read_text())
    assert answer.headers["cache-control"] == "no-cache"


async def test_page_comes_without_it_where_postgres_does_not_answer_in_time(
    page: httpx.AsyncClient, writer: Writer, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = await writer.project()
    monkeypatch.setattr(first_paint, "PATIENCE", 0.2)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE projects IN ACCESS EXCLUSIVE MODE")
        answer = await page.get(f"/projects/{project_id}")
    assert (answer.status_code, answer.text) == (200, INDEX.read_text())
    monkeypatch.setattr(first_paint, "PATIENCE", 30.0)
    again = await page.get(f"/projects/{project_id}")
    assert STEPS[0] in again.text


async def test_templates_are_no_page_of_their_own(page: httpx.AsyncClient) -> None:
    assert (await page.get("/first-paint/en.html")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ({"Accept-Language": "zh-CN,zh;q=0.9"}, "zh-Hans"),
        ({"Accept-Language": "fr"}, "en"),
        ({"Accept-Language": "zh", "Cookie": "stepway.language=en"}, "en"),
    ],
)
async def test_language_is_the_one_chosen_else_the_browsers(
    page: httpx.AsyncClient, writer: Writer, asked: dict[str, str], language: str
) -> None:
    answer = await page.get(f"/projects/{await writer.project()}", headers=asked)
    assert f'<html lang="{language}">' in answer.text


def step(**more: Any) -> dict[str, Any]:
    given = {"step": "build", "display_name": "Build", "status": "pending", "metadata": None}
    return {**given, "parent_step": None, **more}


def painted(*steps: dict[str, Any], language: str = "en", name: str = "shop") -> str:
    project = {"id": str(uuid4()), "name": name, "initialization_completed_at": None}
    initialization = {"project": project, "progress": 40, "steps": list(steps)}
    return FirstPaint(pages.BUILT).render(initialization, language)


def test_markup_in_a_name_is_text() -> None:
    markup = "<img src=x onerror=alert(1)>"
    shown = painted(step(display_name=markup), name=markup)
    assert shown.count("&lt;img src=x onerror=alert(1)&gt;") >= 3
    assert "<img src=x" not in shown


@pytest.mark.parametrize("status", ["pending", "running", "completed", "failed", "skipped"])
def test_quotes_end_no_attribute_and_expressions_are_text(status: str) -> None:
    hostile = "\" onload=\"x' onload='y {{ 7 * 7 }} {% raw %}"
    shown = painted(step(status=status, display_name=hostile, step=hostile))
    assert f'data-status="{status}"' in shown
    assert "onload=" in shown
    assert not re.search(r"[\"'] onload=", shown)
    assert "{{ 7 * 7 }}" in shown


def test_names_are_in_the_language_asked_for_and_sub_steps_are_left_out() -> None:
    names = {"display_names": {"zh": "构建", "en": "Build"}}
    steps = step(metadata=names), step(step="build.part", parent_step="build")
    shown = painted(*steps, language="zh")
    assert "构建" in shown
    assert "build.part" not in shown


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A built page whose templates the test may change."""
    shutil.copytree(pages.BUILT / first_paint.FOLDER, tmp_path / first_paint.FOLDER)
    return tmp_path


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("slot", sorted(SLOTS))
def test_template_without_a_slot_is_refused(copied: Path, language: str, slot: str) -> None:
    FirstPaint(copied)
    template = copied / first_paint.FOLDER / f"{language}.html"
    without = re.sub(rf"{re.escape(slot)}\b", "'nothing'", template.read_text())
    template.write_text(without)
    with pytest.raises(TemplateUnfit, match=rf"{language}\.html .*\({re.escape(slot)}\)"):
        FirstPaint(copied)


def test_template_with_an_unknown_slot_is_refused(copied: Path) -> None:
    template = copied / first_paint.FOLDER / "en.html"
    template.write_text(template.read_text() + "{{ project_owner }}")
    with pytest.raises(TemplateUnfit, match="project_owner"):
        FirstPaint(copied)
