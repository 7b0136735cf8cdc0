"""Git over HTTPS within a company: a private authority, and a proxy; for pushes and templates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError

from stepway.activities.git.remote import Remote
from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources, load_steps
from stepway.activities.repository.create_repository import CreateRepositoryInput
from stepway.activities.repository.push_template import PushTemplateInput
from stepway.blueprints.git_template import FIELDS, GitTemplate
from stepway.hosts.errors import HostError, Reason
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
from tests.support.githost.server import Host, running_host
from tests.support.inside import INTERNAL, private, proxy

KEY = new_key("inside")
FILES = {"copier.yml": b"license: MIT\n", "a.txt.jinja": b"{{ project_name }} {{ license }}\n"}


@dataclass
class Inside:
    """A GitHub Enterprise with a private authority, and a project whose template is there."""

    host: Host
    authority: str
    worker: Worker
    vault: Vault
    project: ProjectRef
    token: str

    async def store(self, ca: str | None) -> None:
        """Store the credential `forge`, with the authority or without."""
        target = Target("github", self.host.surface.url, ca)
        await self.vault.put(EVERYONE, "forge", self.token, "acme", target)

    async def create(self) -> Any:
        given = CreateRepositoryInput(self.project, credential="forge")
        return await self.worker.run("create_repository", given)

    async def push(self, template: str | GitTemplate | None = None) -> Any:
        url = f"{self.host.surface.url}/acme/template.git"
        given = PushTemplateInput(
            self.project,
            template or GitTemplate(url, credential="forge"),
            {},
            list(FIELDS),
            credential="forge",
        )
        return await self.worker.run("push_template", given)

    def commits(self) -> dict[str, str]:
        found = self.host.world.find(f"acme/{self.project.name}")
        assert found is not None
        return found.branches()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[tuple[Host, str]]:
    context, authority = private(tmp_path, "127.0.0.1", INTERNAL)
    with running_host(GitHubSurface) as plain:
        plain.world.add_account("erin")
        plain.world.add_organization("acme", owner="erin")
        made = plain.world.add_repository("acme", "template")
        token = plain.world.add_token("erin", {"repo"})
        push(GitRemote(f"{plain.url}/acme/template.git", "x-access-token", token.value), FILES)
        with running_host(GitHubSurface, tls=context) as host:
            host.world = host.surface.world = plain.world
            assert made.branches()
            yield host, authority
            assert not host.violations


@pytest.fixture
async def inside(
    serve: tuple[Host, str], engine: AsyncEngine, tmp_path: Path, project: ProjectRef
) -> AsyncIterator[Inside]:
    host, authority = serve
    settings = Settings(data_dir=tmp_path / "data", secret_keys=KEY)
    worker = Worker(settings.data_dir, load_steps(Resources(settings, engine)))
    vault = Vault(engine, Keyring(parse_keys(KEY)))
    token = host.world.add_token("erin", {"repo"})
    yield Inside(host, authority, worker, vault, project, token.value)
    async with engine.begin() as connection:
        await connection.execute(delete(Credential))


async def test_a_private_authority_is_trusted_for_git_as_for_the_api(inside: Inside) -> None:
    await inside.store(inside.authority)
    await inside.create()
    pushed = await inside.push()
    assert inside.commits() == {"main": pushed.commit}
    assert pushed.files == 2
    assert pushed.template.startswith(f"{inside.host.url}/acme/template.git@")


async def test_without_the_authority_each_step_says_what_to_store(inside: Inside) -> None:
    await inside.store(inside.authority)
    await inside.create()
    await inside.store(None)
    for step in (inside.create, inside.push, lambda: inside.push("web-service")):
        with pytest.raises(ApplicationError, match="is not trusted") as caught:
            await step()
        assert caught.value.non_retryable
        assert "--ca FILE" in caught.value.details[0]["remedy"]
    assert inside.commits() == {}


async def test_git_itself_says_what_to_store(inside: Inside) -> None:
    remote = Remote(GitRemote(f"{inside.host.url}/acme/x.git", "u", "p"), "acme/x", "forge")
    with pytest.raises(HostError) as caught:
        remote.refs(lambda: None)
    assert caught.value.reason is Reason.CERTIFICATE
    assert "stepway credential set forge … --ca FILE" in caught.value.remedy


@pytest.mark.parametrize("sign_in", ["", "bot:s3cret"])
async def test_all_of_git_goes_through_the_proxy(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, sign_in: str
) -> None:
    inside.host.surface.url = f"https://{INTERNAL}"
    await inside.store(inside.authority)
    async with proxy(int(inside.host.url.rpartition(":")[2]), sign_in) as (address, asked):
        monkeypatch.setenv("HTTPS_PROXY", address)
        await inside.create()
        pushed = await inside.push()
    assert inside.commits() == {"main": pushed.commit}
    # The API speaks HTTP/1.1 to a proxy, Git HTTP/1.0.
    assert set(asked) == {f"CONNECT {INTERNAL}:443 HTTP/1.{minor}" for minor in (0, 1)}
