"""A start, or a retry with other parameters, that asks a Git host for what it lacks is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.vault.keyring import open_keyring
from stepway.vault.keys import new_key
from stepway.vault.kinds import Target
from stepway.vault.vault import EVERYONE, Vault
from tests.support.servers import Stepway, running_stepway

BLUEPRINT = """
name: {name}
parameters:
  type: object
  properties:
    host: {{type: string, default: local}}
    environments: {{type: array, default: [dev]}}
    fix: {{type: string, default: bad}}
editable: [host, environments, fix]
steps:
  - {{step: first, uses: fixable, with: {{folder: {folder}, value: "${{{{ parameters.fix }}}}"}}}}
  - step: places
    uses: create_environments
    needs: [first]
    with: {{credential: {credential}, environments: {environments}}}
"""
HOST = '"${{ parameters.host }}"'
ENVIRONMENTS = '"${{ parameters.environments }}"'
WAITING = "[dev, {name: production, wait: 5}]"
KINDS = ("github", "gitlab", "gitea")


@dataclass
class Given:
    """A Stepway, and for each kind of Git host a credential of a host that does not answer."""

    stepway: Stepway
    credentials: dict[str, str]

    async def start(self, blueprint: str, **parameters: Any) -> httpx.Response:
        """Ask for a project."""
        body = {"name": f"p-{uuid4().hex[:12]}", "blueprint": blueprint, "parameters": parameters}
        return await self.stepway.http.post("/api/projects", json=body)


@pytest.fixture(scope="module")
async def given(
    servers: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Given]:
    folder = tmp_path_factory.mktemp("features")
    settings = servers.model_copy(update={"secret_keys": SecretStr(new_key("features"))})
    engine = open_engine(settings.sqlalchemy_url)
    vault = Vault(engine, open_keyring(settings.keys))
    credentials = {kind: f"{kind}-{uuid4().hex[:8]}" for kind in KINDS}
    for kind, name in credentials.items():
        await vault.put(EVERYONE, name, uuid4().hex, "acme", Target(kind, "http://127.0.0.1:1"))
    for name, credential, environments in (
        ("both", HOST, ENVIRONMENTS),
        ("host", HOST, WAITING),
        ("environments", credentials["gitea"], ENVIRONMENTS),
        ("neither", credentials["gitea"], WAITING),
    ):
        text = BLUEPRINT.format(
            name=name, folder=folder, credential=credential, environments=environments
        )
        (folder / f"{name}.yaml").write_text(text)
    async with running_stepway(settings, folder) as stepway:
        yield Given(stepway, credentials)
    for name in credentials.values():
        await vault.remove(EVERYONE, name)
    await engine.dispose()


def refused(answer: httpx.Response) -> list[tuple[str, str, str]]:
    assert answer.status_code == 422, answer.text
    errors = answer.json()["errors"]
    return [(error["name"], error["pointer"], error["detail"]) for error in errors]


async def test_a_start_that_asks_a_host_for_what_it_lacks_is_refused(given: Given) -> None:
    gitlab = given.credentials["gitlab"]
    waiting = [{"name": "production", "wait": 5}]
    said = (
        "places.environments.0.wait: GitLab has no waiting time before deployments; use the "
        f"credential of another host than '{gitlab}', or leave `wait` out"
    )
    answer = await given.start("both", host=gitlab, environments=waiting)
    assert refused(answer) == [("host", "/parameters/host", said)]
    assert answer.json()["detail"] == said
    answer = await given.start("both", environments=waiting)
    [(name, pointer, detail)] = refused(answer)
    assert (name, pointer) == ("host", "/parameters/host")
    assert "the local host has no waiting time" in detail


async def test_what_the_host_has_is_started_and_a_credential_nobody_knows_is_left_to_the_step(
    given: Given,
) -> None:
    waiting = [{"name": "production", "wait": 5}]
    for host in (given.credentials["github"], f"nobody-{uuid4().hex[:8]}"):
        answer = await given.start("both", host=host, environments=waiting)
        assert answer.status_code == 201, answer.text
    answer = await given.start("both", host=given.credentials["gitea"])
    assert answer.status_code == 201, answer.text


async def test_without_a_parameter_for_the_credential_the_argument_is_pointed_to(
    given: Given,
) -> None:
    waiting = ["dev", {"name": "production", "wait": 5}]
    answer = await given.start("environments", environments=waiting)
    [(name, pointer, _)] = refused(answer)
    assert (name, pointer) == ("environments", "/parameters/environments/1/wait")
    answer = await given.start("neither")
    [(name, pointer, detail)] = refused(answer)
    assert (name, pointer) == ("places.environments.1.wait", "/blueprint")
    assert "Gitea or Forgejo has no waiting time" in detail


async def test_a_retry_that_changes_to_a_host_that_lacks_something_is_refused(
    given: Given,
) -> None:
    stepway = given.stepway
    answer = await given.start("host", host=given.credentials["github"])
    assert answer.status_code == 201, answer.text
    project = answer.json()["project"]["id"]
    await stepway.until_step(project, "first", "failed")

    async def retry(**parameters: str) -> httpx.Response:
        return await stepway.control(project, "steps/first/retry", {"parameters": parameters})

    answer = await retry(host=given.credentials["gitea"], fix="good")
    [(name, pointer, detail)] = refused(answer)
    assert (name, pointer) == ("host", "/parameters/host")
    assert detail.startswith("places.environments.1.wait: Gitea or Forgejo has no waiting time")
    assert (await stepway.initialization(project))["project"]["parameters"]["fix"] == "bad"
    answer = await retry(fix="still bad")
    assert answer.status_code == 202, answer.text
