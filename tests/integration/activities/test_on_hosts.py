"""create_environments, run_command and finalize where the project's repository is on a Git host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError

from stepway.activities.command.run_command import RunCommandInput
from stepway.activities.database.create_db_records import CreateDbRecordsInput
from stepway.activities.database.create_environments import (
    CreateEnvironmentsInput,
    DeleteEnvironmentsInput,
    EnvironmentSpec,
)
from stepway.activities.database.finalize import FinalizeInput
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, load_steps
from stepway.activities.repository.create_repository import CreateRepositoryInput
from stepway.activities.repository.push_template import PushedTemplate, PushTemplateInput
from stepway.hosts.host import GitRemote
from stepway.runtime.settings import Settings
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.kinds import Target
from stepway.vault.models import Credential
from stepway.vault.vault import EVERYONE, Vault
from tests.integration.activities.conftest import Worker
from tests.integration.hosts.places import push
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.gitlab.surface import GitLabSurface
from tests.support.githost.server import Host, running_host
from tests.support.githost.state import Repository
from tests.support.githost.surface import Surface
from tests.support.leftovers import left_by_steps

KEY = new_key("on-hosts")
HOSTS: dict[str, tuple[type[Surface], set[str], str]] = {
    "github": (GitHubSurface, {"repo", "workflow"}, "x-access-token"),
    "gitlab": (GitLabSurface, {"api"}, "oauth2"),
}
ENVIRONMENTS: list[EnvironmentSpec | str] = [
    EnvironmentSpec("staging", 1),
    EnvironmentSpec("production", 2, ["otto"]),
]


@dataclass
class Remote:
    """A project whose repository is on a host, and the steps."""

    host: Host
    worker: Worker
    project: ProjectRef
    remote: GitRemote

    async def run(self, step: str, kind: Any, *more: Any, **fields: Any) -> Any:
        given = kind(self.project, *more, credential="forge", **fields)
        return await self.worker.run(step, given)

    async def begin(self) -> PushedTemplate:
        """Create the repository, push a template and write the record."""
        made = await self.run("create_repository", CreateRepositoryInput)
        answers = {"license": "MIT"}
        pushed: PushedTemplate = await self.run(
            "push_template", PushTemplateInput, "web-service", answers
        )
        records = CreateDbRecordsInput(
            self.project, self.project.name, made.url, commit=pushed.commit
        )
        await self.worker.run("create_db_records", records)
        return pushed

    async def finalize(self, commit: str, **fields: Any) -> Any:
        name = self.project.name
        return await self.run("finalize", FinalizeInput, repository=name, commit=commit, **fields)

    def push(self, files: dict[str, bytes]) -> str:
        """Push as a person does."""
        return push(self.remote, files)

    @property
    def stored(self) -> Repository:
        found = self.host.world.find(f"acme/{self.project.name}")
        assert found is not None
        return found


@pytest.fixture(params=HOSTS)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Host, GitRemote]]:
    surface, scopes, user = HOSTS[request.param]
    with running_host(surface) as host:
        host.world.add_account("erin")
        host.world.add_account("otto")
        host.world.add_organization("acme", owner="erin")
        prefix = "glpat-" if request.param == "gitlab" else "ghp_"
        token = host.world.add_token("erin", scopes, prefix=prefix)
        yield request.param, host, GitRemote(host.url, user, token.value)
        assert not host.violations


@pytest.fixture
async def on_host(
    served: tuple[str, Host, GitRemote],
    engine: AsyncEngine,
    tmp_path: Path,
    project: ProjectRef,
) -> AsyncIterator[Remote]:
    kind, host, access = served
    settings = Settings(data_dir=tmp_path / "data", secret_keys=KEY)
    worker = Worker(settings.data_dir, load_steps(Resources(settings, engine)))
    vault = Vault(engine, Keyring(parse_keys(KEY)))
    await vault.put(EVERYONE, "forge", access.password, "acme", Target(kind, host.url))
    url = f"{host.url}/acme/{project.name}.git"
    yield Remote(host, worker, project, GitRemote(url, access.username, access.password))
    async with engine.begin() as connection:
        await connection.execute(delete(Credential))


async def test_environments_are_created_on_the_host_and_rolled_back(on_host: Remote) -> None:
    await on_host.begin()
    made = await on_host.run(
        "create_environments", CreateEnvironmentsInput, environments=ENVIRONMENTS
    )
    assert made.on_host
    assert set(on_host.stored.environments) == {"staging", "production"}
    assert made == await on_host.run(
        "create_environments", CreateEnvironmentsInput, environments=ENVIRONMENTS
    )
    result = {"environments": [vars(one) for one in made.environments], "on_host": True}
    undone = await on_host.run("delete_environments", DeleteEnvironmentsInput, result=result)
    assert undone.removed == ["production", "staging"]
    assert on_host.stored.environments == {}
    again = await on_host.run("delete_environments", DeleteEnvironmentsInput, result=result)
    assert again.removed == []


async def test_a_command_runs_in_a_new_clone_of_the_newest_commit(
    on_host: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    await on_host.begin()
    newest = on_host.push({"mine.txt": b"from a person\n"})
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    script = "cat mine.txt; git status --porcelain; git rev-parse HEAD; cat .git/config; pwd"
    done = await on_host.run("run_command", RunCommandInput, ["sh", "-c", script])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[:2] == ["from a person", newest]
    assert on_host.remote.url in done.output
    assert on_host.remote.password not in done.output
    # The clone is gone: it was a folder below the temporary one.
    assert lines[-1].startswith(str(temporary))
    assert left_by_steps(temporary) == []


async def test_finalize_finds_a_commit_that_people_have_built_upon(on_host: Remote) -> None:
    pushed = await on_host.begin()
    await on_host.run("create_environments", CreateEnvironmentsInput, environments=ENVIRONMENTS)
    on_host.push({"mine.txt": b"later"})
    found = await on_host.finalize(pushed.commit, environments=ENVIRONMENTS)
    assert found.verified == [
        f"repository {on_host.project.name}",
        "environment staging",
        "environment production",
    ]


async def test_finalize_names_what_is_missing_on_the_host(on_host: Remote) -> None:
    pushed = await on_host.begin()
    with pytest.raises(ApplicationError, match="does not contain commit 0000") as caught:
        await on_host.finalize("0" * 40)
    assert caught.value.non_retryable
    on_host.host.world.delete(on_host.stored)
    with pytest.raises(ApplicationError, match=f"repository {on_host.project.name} is missing"):
        await on_host.finalize(pushed.commit)
