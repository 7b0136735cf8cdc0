"""push_template with templates from Git: versions that stay, credentials, and the rules."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select
from temporalio.exceptions import ApplicationError

from stepway.activities.models import TemplateVersion
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, load_steps
from stepway.activities.repository.create_repository import CreateRepositoryInput
from stepway.activities.repository.push_template import PushedTemplate, PushTemplateInput
from stepway.blueprints.git_template import FIELDS, GitTemplate
from stepway.runtime.settings import Settings
from stepway.vault.keyring import open_keyring
from stepway.vault.keys import new_key
from stepway.vault.kinds import Target
from stepway.vault.vault import Vault
from stepway_tracking.record.models import Project
from tests.support.gitserver import GitServer, git_server
from tests.support.gitserver import Repository as Served

PASSWORD = "s3cret-of-the-bot"
QUESTIONS = "license: MIT\n"


@pytest.fixture
def server() -> Iterator[GitServer]:
    with git_server() as server:
        yield server


@pytest.fixture
def made(server: GitServer, tmp_path: Path) -> Served:
    made = server.add("acme/tpl.git", tmp_path / "git")
    made.write({"copier.yml": QUESTIONS, "a.txt.jinja": "one {{ license }}\n"}, tag="v1.0")
    return made


@pytest.fixture
async def project(new_project, worker) -> ProjectRef:
    project = await new_project()
    await worker.run("create_repository", CreateRepositoryInput(project))
    return project


@pytest.fixture
def use(worker, resources, server):
    """Gives the worker other settings."""

    def change(**settings: Any) -> None:
        settings = {"template_sources": [f"{server.url}/"], **settings}
        found = Settings(data_dir=worker.data_dir, **settings)
        worker.steps = load_steps(Resources(found, resources.engine))

    change()
    return change


async def push(
    worker, project: ProjectRef, template: Any, written: Any = FIELDS, **variables: Any
) -> PushedTemplate:
    given = PushTemplateInput(project, template, variables, list(written))
    return await worker.run("push_template", given)


def shown(git, made: PushedTemplate, path: str) -> str:
    return git("show", f"main:{path}", cwd=Path(made.url))


async def test_a_template_from_git_is_pushed_with_its_version(worker, project, use, made, git):
    done = await push(worker, project, GitTemplate(made.url), license="BSD")
    assert done.template == f"{made.url}@v1.0"
    assert shown(git, done, "a.txt") == "one BSD"
    assert shown(git, done, ".copier-answers.yml").splitlines()[1:] == [
        "_commit: v1.0",
        f"_src_path: {made.url}",
        "license: BSD",
    ]
    subject = git("log", "-1", "--format=%s", "main", cwd=Path(done.url))
    assert subject == f"Start from the template {made.url}@v1.0"
    tag = git("rev-parse", "v1.0", cwd=Path(made.repo.path))
    assert done.template_commit == tag


async def test_every_attempt_renders_the_commit_of_the_first(worker, project, use, made, git):
    template = GitTemplate(made.url, ref="main")
    first = await push(worker, project, template)
    newer = made.write({"a.txt.jinja": "two\n"}, tag="v2.0")
    git("update-ref", "-d", "refs/heads/main", cwd=Path(first.url))
    shutil.rmtree(worker.data_dir / "templates")  # as on another worker
    second = await push(worker, project, template)
    assert second == first
    assert newer != first.template_commit


async def test_a_refused_template_keeps_its_commit_too(worker, project, use, made):
    made.write({"copier.yml": "needed: {type: str}\n"})
    with pytest.raises(ApplicationError, match="needs an answer to needed"):
        await push(worker, project, GitTemplate(made.url, ref="main"))
    made.write({"copier.yml": QUESTIONS})
    with pytest.raises(ApplicationError, match="needs an answer to needed"):
        await push(worker, project, GitTemplate(made.url, ref="main"))
    assert await push(worker, project, GitTemplate(made.url, ref="v1.0"))


async def test_two_first_attempts_at_once_agree(worker, project, use, made, engine):
    await asyncio.gather(*(push(worker, project, GitTemplate(made.url)) for _ in range(4)))
    async with engine.connect() as connection:
        query = select(TemplateVersion).where(TemplateVersion.url == made.url)
        assert len((await connection.execute(query)).all()) == 1


async def test_the_version_goes_with_the_project(worker, project, use, made, engine):
    await push(worker, project, GitTemplate(made.url))
    async with engine.begin() as connection:
        await connection.execute(delete(Project).where(Project.name == project.name))
        query = select(TemplateVersion).where(TemplateVersion.url == made.url)
        assert not (await connection.execute(query)).all()


async def test_a_subfolder_is_the_template(worker, project, use, made, git):
    made.write({"api/copier.yml": "port: 80\n", "api/p.jinja": "{{ port }}\n"}, tag="v1.1")
    done = await push(worker, project, GitTemplate(made.url, subfolder="api"), port=81)
    assert shown(git, done, "p") == "81"
    with pytest.raises(ApplicationError, match="has no folder 'apo'") as caught:
        await push(worker, project, GitTemplate(made.url, subfolder="apo"))
    assert "api" in caught.value.details[0]["remedy"]


async def test_a_private_template_needs_the_credential_in_every_project(
    worker, project, use, keep, server, made, git, new_project
):
    server.private["acme/tpl.git"] = f"bot:{PASSWORD}"
    await keep(project, "tpl", "bot", Target())
    template = GitTemplate(made.url, credential="tpl")
    done = await push(worker, project, template)
    assert shown(git, done, "a.txt") == "one MIT"
    files = [path for path in worker.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]
    # It is in the cache now, which must not give it to a project without the credential.
    other = await new_project()
    await worker.run("create_repository", CreateRepositoryInput(other))
    with pytest.raises(ApplicationError, match="asks for a sign-in"):
        await push(worker, other, GitTemplate(made.url))


@pytest.fixture
def keep(use, worker, engine):
    """Stores a credential that the worker can open."""
    key = new_key("k1")
    use(secret_keys=key)
    found = Resources(Settings(data_dir=worker.data_dir, secret_keys=key), engine)
    vault = Vault(engine, open_keyring(found.settings.keys))

    async def store(project: ProjectRef, name: str, account: str, target: Target) -> None:
        await vault.put(project.owner, name, PASSWORD, account, target)

    return store


@pytest.mark.parametrize(
    ("kind", "user"),
    [("github", "x-access-token"), ("gitlab", "oauth2"), ("gitea", "stepway"), ("basic", "bot")],
)
async def test_a_credential_of_any_kind_signs_in(
    worker, project, use, keep, server, made, kind, user
):
    server.private["acme/tpl.git"] = f"{user}:{PASSWORD}"
    await keep(project, f"of-{kind}", "bot", Target(kind, server.url))
    done = await push(worker, project, GitTemplate(made.url, credential=f"of-{kind}"))
    assert done.template == f"{made.url}@v1.0"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://git.example.org"])
async def test_a_credential_goes_to_its_own_host_only(
    worker, project, use, keep, server, made, refusal, url
):
    await keep(project, "elsewhere", "bot", Target("gitea", url))
    with pytest.raises(ApplicationError) as caught:
        await push(worker, project, GitTemplate(made.url, credential="elsewhere"))
    assert f"is for {url} only" in refusal(caught.value)
    assert server.paths == []


async def test_a_credential_that_is_not_there_is_named(worker, project, keep, made, refusal):
    with pytest.raises(ApplicationError) as caught:
        await push(worker, project, GitTemplate(made.url, credential="none"))
    assert "Credential 'none' not found" in refusal(caught.value)


@pytest.mark.parametrize(
    ("sources", "written", "part"),
    [
        ([], FIELDS, "must list http URLs"),
        (["https://elsewhere.example/"], FIELDS, "does not list http://127.0.0.1"),
    ],
)
async def test_a_source_that_the_operator_does_not_allow_is_refused(
    worker, project, use, made, refusal, sources, written, part
):
    use(template_sources=sources)
    with pytest.raises(ApplicationError) as caught:
        await push(worker, project, GitTemplate(made.url), written)
    assert part in refusal(caught.value)


@pytest.mark.parametrize("url", ["https://h.example/x.git", {"git": "https://h.example/x.git"}])
async def test_an_address_from_a_value_needs_a_list(worker, project, use, refusal, url):
    use(template_sources=[])
    with pytest.raises(ApplicationError) as caught:
        await push(worker, project, url, written=[])
    assert "comes from a value" in refusal(caught.value)


@pytest.mark.parametrize("chosen", ["git", "ref", "subfolder"])
async def test_programs_run_only_for_a_trusted_blueprint_that_writes_the_template(
    worker, project, use, made, git, chosen
):
    made.write({"api/copier.yml": "_tasks: ['echo done > by-task']\n"}, tag="v1.1")
    template = GitTemplate(made.url, ref="v1.1", subfolder="api")
    written = [name for name in FIELDS if name != chosen]
    trusting = ProjectRef(project.id, project.name, project.owner, "service")
    use(trusted_blueprints=["service"])
    with pytest.raises(ApplicationError, match="_tasks in copier"):
        await push(worker, trusting, template, written)
    done = await push(worker, trusting, template)
    assert shown(git, done, "by-task") == "done"


async def test_templates_see_the_projects_name_as_their_folder(worker, project, use, made, git):
    made.write({"name.jinja": "{{ _folder_name }}\n"}, tag="v1.1")
    done = await push(worker, project, GitTemplate(made.url))
    assert shown(git, done, "name") == project.name
