"""The templates of python-library and existing-repository: what they render really works."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from stepway.activities.project import ProjectRef
from stepway.activities.repository.create_repository import CreateRepositoryInput
from stepway.activities.repository.push_template import PushTemplateInput
from tests.integration.activities.conftest import Worker
from tests.packaging.conftest import find_uv

ODD = 'A "library" \\ {{ 1 + 1 }} ${{ x }} 😀 <b>'
PIPELINES = {
    "github": ".github/workflows/ci.yml",
    "gitea": ".gitea/workflows/ci.yml",
    "gitlab": ".gitlab-ci.yml",
}
Render = Callable[..., Any]


@pytest.fixture
def render(worker: Worker, git: Callable[..., str], tmp_path: Path) -> Render:
    """Pushes a template for a project of that name; returns a clone."""

    async def rendered(template: str, name: str = "parser", **answers: Any) -> Path:
        project = ProjectRef(str(uuid4()), name, uuid4().hex)
        await worker.run("create_repository", CreateRepositoryInput(project))
        given = PushTemplateInput(project, template, answers)
        made = await worker.run("push_template", given)
        clone = tmp_path / f"clone-{uuid4().hex}"
        git("clone", made.url, clone)
        return clone

    return rendered


async def run(folder: Path, *command: str) -> str:
    """Run a program of the environment in the folder; return its output."""
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


async def test_a_library_passes_all_that_its_pipeline_runs(render: Render) -> None:
    clone = await render("python-library", description=ODD, python="3.12", git_host="github")
    project = tomllib.loads((clone / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["description"]) == ("parser", ODD)
    assert project["requires-python"] == ">=3.12"
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        await run(clone, *python(*command))
    assert "10 passed" in await run(clone, *python("pytest", "-q", "-p", "no:asyncio"))


async def test_a_library_builds_into_a_wheel_with_its_types(render: Render) -> None:
    clone = await render("python-library", description=ODD)
    await run(clone, find_uv(), "build", "--out-dir", "dist")
    (wheel,) = (clone / "dist").glob("parser-0.1.0-py3-none-any.whl")
    names = (await run(clone, *python("zipfile", "-l", str(wheel)))).split()
    assert {"parser/__init__.py", "parser/py.typed", "parser/slugs.py"} <= set(names)
    assert (clone / "dist" / "parser-0.1.0.tar.gz").exists()


@pytest.mark.parametrize(
    "name", ["json", "import", "test", "a-b2", "pytest-helper-of-somebody-in-a-long-name"]
)
async def test_a_library_of_any_name_can_be_imported(render: Render, name: str) -> None:
    clone = await render("python-library", name[:40].rstrip("-"))
    assert "10 passed" in await run(clone, *python("pytest", "-q", "-p", "no:asyncio"))
    await run(clone, *python("ruff", "format", "--check", "."))


@pytest.mark.parametrize("git_host", [*PIPELINES, "local"])
async def test_a_library_has_the_pipeline_of_its_host_alone(render: Render, git_host: str) -> None:
    clone = await render("python-library", git_host=git_host, python="3.13", branch="trunk")
    there = {host for host, file in PIPELINES.items() if (clone / file).exists()}
    assert there == {git_host} - {"local"}
    if git_host == "local":
        return
    text = (clone / PIPELINES[git_host]).read_text()
    pipeline = yaml.safe_load(text)
    assert PIPELINES[git_host] in (clone / "README.md").read_text()
    if git_host == "gitlab":
        assert pipeline["test"]["parallel"]["matrix"] == [{"PYTHON": ["3.13", "3"]}]
        return
    # YAML 1.1 reads the key `on` as true.
    assert pipeline[True]["push"]["branches"] == ["trunk"]
    job = pipeline["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.13", "3.x"]
    assert "${{ matrix.python }}" in text


@pytest.mark.parametrize(
    ("git_host", "owners"),
    [("github", ".github"), ("gitlab", ".gitlab"), ("gitea", ".gitea")],
)
async def test_an_existing_repository_gets_a_description_and_its_maintainers(
    render: Render, git: Callable[..., str], git_host: str, owners: str
) -> None:
    answers = {"description": ODD, "git_host": git_host}
    alone = await render("existing-repository", **answers)
    assert git("ls-files", cwd=alone) == "project.yaml"
    described = yaml.safe_load((alone / "project.yaml").read_text())
    assert described["description"] == ODD
    assert (described["name"], described["lifecycle"]) == ("parser", "production")
    kept = await render("existing-repository", maintainers=["erin", "acme/web"], **answers)
    *_, rule = (kept / owners / "CODEOWNERS").read_text().splitlines()
    assert rule == f"{'.*' if git_host == 'gitea' else '*'} @erin @acme/web"
    assert yaml.safe_load((kept / "project.yaml").read_text())["maintainers"] == [
        "erin",
        "acme/web",
    ]
