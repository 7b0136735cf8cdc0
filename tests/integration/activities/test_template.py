"""push_template with the built-in template and with operators' templates."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from temporalio.exceptions import ApplicationError

from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, load_steps
from stepway.activities.repository.create_repository import CreateRepositoryInput
from stepway.activities.repository.push_template import PushTemplateInput
from stepway.activities.templates.rendering import find_template
from stepway.runtime.settings import Settings
from stepway_tracking.record.progress import Progress

ODD = 'A "shop" \\ {{ 1 + 1 }} ${{ x }} 😀 <b>'


@pytest.fixture
async def project(worker) -> ProjectRef:
    project = ProjectRef(str(uuid4()), "shop", "local")
    await worker.run("create_repository", CreateRepositoryInput(project))
    return project


@pytest.fixture
def operators(worker, resources, tmp_path) -> Path:
    """The operator's folder of blueprints, which the worker uses."""
    folder = tmp_path / "blueprints"
    folder.mkdir()
    settings = Settings(data_dir=worker.data_dir, blueprints=str(folder))
    worker.steps = load_steps(Resources(settings, resources.engine))
    return folder


def template(folder: Path, name: str, **files: str) -> None:
    (folder / name).mkdir()
    for file, text in files.items():
        (folder / name / file.replace("__", ".")).write_text(text)


async def push(worker, project, name="web-service", **variables):
    return await worker.run("push_template", PushTemplateInput(project, name, variables))


async def test_programs_run_only_of_a_folder_that_the_blueprint_itself_names(
    worker, project, resources, operators, git
):
    template(operators, "mine", copier__yml="_tasks: ['echo done > by-task']\n")
    settings = Settings(
        data_dir=worker.data_dir, blueprints=str(operators), trusted_blueprints=["service"]
    )
    worker.steps = load_steps(Resources(settings, resources.engine))
    trusting = replace(project, blueprint="service")
    with pytest.raises(ApplicationError, match="_tasks in copier"):
        await push(worker, trusting, "mine")
    named = PushTemplateInput(trusting, "mine", template_written=["folder"])
    done = await worker.run("push_template", named)
    assert git("show", "main:by-task", cwd=Path(done.url)) == "done"


async def test_the_template_is_one_commit_and_its_own_tests_pass(worker, project, git, tmp_path):
    made = await push(worker, project, description=ODD, port=9000)
    tree = tmp_path / "clone"
    git("clone", made.url, tree)
    assert git("rev-list", "--all", cwd=tree) == made.commit
    assert len(git("ls-files", cwd=tree).splitlines()) == made.files
    assert made.template == "web-service"
    assert git("ls-files", "-s", "bin/serve", cwd=tree).startswith("100755")
    about = json.loads((tree / "service" / "about.json").read_text())
    assert about == {"name": "shop", "description": ODD, "owner": "local"}
    assert ODD in (tree / "README.md").read_text()
    command = [sys.executable, "-m", "unittest"]
    tests = await asyncio.to_thread(subprocess.run, command, cwd=tree, capture_output=True)
    assert tests.returncode == 0, tests.stderr
    git("fsck", "--strict", cwd=Path(made.url))


async def test_each_environment_has_an_overlay_that_the_manifests_build_on(
    worker, project, git, tmp_path
):
    environments = [{"name": "test", "approvals": 0}, {"name": "production", "approvals": 2}]
    made = await push(worker, project, environments=environments)
    git("clone", made.url, tmp_path / "clone")
    deploy = tmp_path / "clone" / "deploy"
    assert sorted(p.name for p in (deploy / "overlays").iterdir()) == ["production", "test"]
    for file in deploy.rglob("*.yaml"):
        body = yaml.safe_load(file.read_text())
        for resource in body.get("resources", []):
            assert (file.parent / resource).exists()


async def test_progress_has_the_three_parts_in_order(worker, project):
    await push(worker, project)
    said = [beat for beat in worker.heartbeats if isinstance(beat, Progress)]
    parts = list(dict.fromkeys(beat.sub_step.name for beat in said))
    assert parts == ["prepare_vars", "render_template", "push_files"]
    assert [beat.percent for beat in said] == sorted(beat.percent for beat in said)


async def test_no_git_binary_is_needed(worker, project, monkeypatch, tmp_path, git):
    with monkeypatch.context() as without_git:
        without_git.setenv("PATH", str(tmp_path / "empty"))
        made = await push(worker, project)
    assert git("rev-parse", "main", cwd=Path(made.url)) == made.commit


async def test_a_template_that_is_a_git_repository_is_taken_as_it_stands(
    worker, project, operators, git, tmp_path
):
    template(operators, "mine", one__txt="old")
    git("init", cwd=operators / "mine")
    git("add", ".", cwd=operators / "mine")
    git("commit", "-m", "Old", cwd=operators / "mine")
    git("tag", "v1", cwd=operators / "mine")
    (operators / "mine" / "one.txt").write_text("new")
    made = await push(worker, project, "mine")
    assert git("show", "main:one.txt", cwd=Path(made.url)) == "new"
    assert git("ls-tree", "--name-only", "main", cwd=Path(made.url)) == "one.txt"


async def test_a_repeated_step_adopts_its_commit(worker, project, git):
    first = await push(worker, project)
    assert await push(worker, project) == first
    assert git("rev-list", "--count", "main", cwd=Path(first.url)) == "1"


async def test_an_attempt_that_was_cut_short_before_main_moved_makes_the_same_commit(
    worker, project, git
):
    first = await push(worker, project)
    git("update-ref", "-d", "refs/heads/main", cwd=Path(first.url))
    assert (await push(worker, project)).commit == first.commit


async def test_changed_values_go_on_top_as_long_as_nobody_pushed(worker, project, git):
    first = await push(worker, project, port=9000)
    second = await push(worker, project, port=9001)
    history = git("rev-list", "main", cwd=Path(first.url)).splitlines()
    assert history == [second.commit, first.commit]


async def test_a_commit_with_a_persons_on_top_is_adopted_and_kept(worker, project, git, tmp_path):
    first = await push(worker, project)
    tree = tmp_path / "clone"
    git("clone", first.url, tree)
    git("commit", "--allow-empty", "-m", "Mine", cwd=tree)
    git("push", "origin", "main", cwd=tree)
    assert (await push(worker, project, port=9001)).commit == first.commit
    assert git("log", "-1", "--format=%s", "main", cwd=Path(first.url)) == "Mine"


async def test_commits_of_a_person_in_a_new_repository_are_refused(
    worker, project, git, tmp_path, refusal
):
    path = worker.data_dir / "repositories" / "local" / "shop.git"
    git("clone", path, tmp_path / "clone")
    git("commit", "--allow-empty", "-m", "Mine", cwd=tmp_path / "clone")
    git("push", "origin", "HEAD:main", cwd=tmp_path / "clone")
    with pytest.raises(ApplicationError) as caught:
        await push(worker, project)
    assert "not made by Stepway" in refusal(caught.value)


async def test_a_project_without_a_repository_of_its_own_is_refused(worker, refusal):
    with pytest.raises(ApplicationError) as caught:
        await push(worker, ProjectRef(str(uuid4()), "other", "local"))
    assert "has no repository" in refusal(caught.value)


@pytest.mark.parametrize("name", ["../secret", "/etc", "a/../../secret", "", "..", "link", "none"])
def test_a_template_outside_the_blueprints_is_refused(tmp_path, refusal, name):
    folder = tmp_path / "blueprints"
    folder.mkdir()
    (tmp_path / "secret").mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ApplicationError) as caught:
        find_template([folder], name)
    assert "not found beside the blueprints" in refusal(caught.value)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a__txt__jinja": "{{ nothing."}, "Cannot render"),
        ({"copier__yml": "needed:\n  type: str\n"}, "needed"),
        ({"copier__yml": "_tasks: ['touch x']\n"}, "Cannot render"),
        ({"copier__yml": "port:\n  type: int\n"}, "Cannot render"),
    ],
    ids=["syntax", "missing value", "wants to run a program", "wrong type"],
)
async def test_a_bad_template_is_refused_and_leaves_main_alone(
    worker, project, operators, git, refusal, files, reason
):
    template(operators, "bad", **files)
    with pytest.raises(ApplicationError) as caught:
        await push(worker, project, "bad", port="many")
    assert reason in refusal(caught.value)
    path = worker.data_dir / "repositories" / "local" / "shop.git"
    assert git("for-each-ref", cwd=path) == ""


async def test_a_nested_repository_is_refused_and_leaves_main_alone(
    worker, project, operators, git, refusal
):
    template(operators, "nested", copier__yml="_subdirectory: files\n")
    library = operators / "nested" / "files" / "vendor" / "lib"
    library.mkdir(parents=True)
    (library / ".git").write_text("gitdir: ../../.git/modules/lib")
    with pytest.raises(ApplicationError) as caught:
        await push(worker, project, "nested")
    assert "vendor/lib/.git: git cannot check out" in refusal(caught.value)
    path = worker.data_dir / "repositories" / "local" / "shop.git"
    assert git("for-each-ref", cwd=path) == ""


async def test_a_fresh_clone_is_clean_whatever_the_line_ends(
    worker, project, operators, git, tmp_path
):
    template(operators, "ends", __gitattributes="* text=auto\n*.bat text eol=crlf\n")
    (operators / "ends" / "a.txt").write_bytes(b"1\r\n")
    (operators / "ends" / "b.bat").write_bytes(b"2\r\n")
    made = await push(worker, project, "ends")
    git("clone", made.url, tmp_path / "clone")
    assert git("status", "--porcelain", cwd=tmp_path / "clone") == ""
    assert (tmp_path / "clone" / "b.bat").read_bytes() == b"2\r\n"
    git("fsck", "--strict", cwd=Path(made.url))


async def test_the_operators_templates_come_after_the_built_in_ones(
    worker, operators, project, git
):
    template(operators, "web-service", one__txt="mine")
    assert (await push(worker, project)).files > 1


async def test_rendering_leaves_the_working_directory_of_the_process_alone(worker, project):
    before = Path.cwd()
    await push(worker, project)
    assert Path.cwd() == before
