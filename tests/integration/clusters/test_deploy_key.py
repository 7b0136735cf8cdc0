"""Flux reads a project's repository with a deploy key of its own, on each kind of Git host."""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway.activities.cluster.access import OpenCluster
from stepway.activities.gitops.deploy_key import DeployKeyFor, DeployKeys, public_key_of
from stepway.activities.gitops.in_cluster import ClusterGitops, GitopsCluster
from stepway.activities.gitops.manifests import namespace_name
from stepway.activities.gitops.setup_gitops import (
    GitopsSetUp,
    GitopsSteps,
    RemoveManifestsInput,
    SetupGitopsInput,
)
from stepway.activities.project import ProjectRef
from stepway.hosts.host import DeployKey, GitHost, HostRepository
from stepway.vault.kinds import CredentialKind, Target
from stepway.vault.redaction import redact
from stepway.vault.vault import Secret
from tests.integration.hosts.places import Place, forgejo, github, gitlab
from tests.support.githost.answers import Answer
from tests.support.kubernetes.server import KubernetesServer

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
HOSTS = {"github": github, "gitlab": gitlab, "forgejo": forgejo}
NO_REPOSITORIES: Any = None


@dataclass
class Stage:
    """A project with its repository on a host, and a cluster; `known_hosts` is stored."""

    place: Place
    kubernetes: KubernetesServer
    opened: OpenCluster
    project: ProjectRef
    repository: HostRepository
    known_hosts: str

    @asynccontextmanager
    async def host(self, credential: str, project: ProjectRef) -> AsyncIterator[GitHost]:
        assert (credential, project) == ("work", self.project)
        yield self.place.host

    async def open(self, name: str, project: ProjectRef) -> Secret:
        options = {"known_hosts": self.known_hosts} if self.known_hosts else {}
        return Secret("", "token", Target(CredentialKind.GITLAB, "https://x.test", None, options))

    @property
    def steps(self) -> GitopsSteps:
        credentials: Any = self
        keys = DeployKeys(self.host, credentials)
        return GitopsSteps(NO_REPOSITORIES, ClusterGitops(self.opened, credentials, keys))

    @property
    def given(self) -> dict[str, Any]:
        key = DeployKeyFor("work", namespace=self.place.owner)
        return {
            "project": self.project,
            "url": self.repository.clone_url,
            "environments": ["production"],
            "cluster": GitopsCluster("admin", deploy_key=key),
        }

    async def set_up(self) -> GitopsSetUp:
        given = SetupGitopsInput(**self.given)
        made = await ActivityEnvironment().run(self.steps.setup_gitops, given)
        assert isinstance(made, GitopsSetUp)
        return made

    async def remove(self, made: GitopsSetUp) -> list[str]:
        given = RemoveManifestsInput(**self.given, result=dataclasses.asdict(made))
        return (await ActivityEnvironment().run(self.steps.remove_manifests, given)).removed

    async def keys(self) -> list[DeployKey]:
        return await self.place.host.deploy_keys(self.repository)

    def secret(self) -> dict[str, str]:
        path = f"{self.namespace}/secrets/{self.project.name}-git"
        found = self.kubernetes.http.get(path).json()["data"]
        return {name: b64decode(value).decode() for name, value in found.items()}

    @property
    def namespace(self) -> str:
        return f"/api/v1/namespaces/{namespace_name(self.project)}"

    @property
    def flux_url(self) -> str:
        api = "/apis/source.toolkit.fluxcd.io/v1/namespaces"
        name = self.project.name
        path = f"{api}/{namespace_name(self.project)}/gitrepositories/{name}"
        return str(self.kubernetes.http.get(path).json()["spec"]["url"])


@asynccontextmanager
async def staged(
    kind: str, flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> AsyncIterator[Stage]:
    async with HOSTS[kind]() as place:
        made = await place.create(name=project.name, project_id=project.id)
        server = place.server
        assert server is not None
        if kind == "github":
            server.world.options["ssh_keys"] = [HOST_KEY]
        known_hosts = "" if kind == "github" else f"127.0.0.1 {HOST_KEY}\n"
        yield Stage(place, flux, opened, project, made, known_hosts)
        assert not server.violations


@pytest.fixture(params=HOSTS)
async def stage(
    request: pytest.FixtureRequest, flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> AsyncIterator[Stage]:
    """Each kind of host in turn."""
    async with staged(request.param, flux, opened, project) as found:
        yield found


@pytest.fixture
async def on_github(
    flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> AsyncIterator[Stage]:
    async with staged("github", flux, opened, project) as found:
        yield found


@pytest.fixture
async def on_gitlab(
    flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> AsyncIterator[Stage]:
    async with staged("gitlab", flux, opened, project) as found:
        yield found


async def refused(stage: Stage) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await stage.set_up()
    remedy = caught.value.details[0]["remedy"] if caught.value.details else ""
    print(f"{caught.value.message}\n{remedy}")
    return caught.value


async def test_the_private_part_is_in_the_cluster_only_and_a_repetition_uses_it_again(
    stage: Stage,
) -> None:
    made = await stage.set_up()
    secret, (key,) = stage.secret(), await stage.keys()
    assert public_key_of(secret["identity"]) == key.key == secret["identity.pub"].strip()
    assert secret["known_hosts"] == f"127.0.0.1 {HOST_KEY}\n"
    assert key.read_only
    assert key.title == f"stepway/{stage.project.id}/admin"
    assert made.deploy_key is not None
    assert made.deploy_key.id == key.id
    assert stage.flux_url == f"ssh://git@127.0.0.1/{stage.place.owner}/{stage.project.name}.git"
    said = json.dumps(dataclasses.asdict(made))
    assert secret["identity"][40:80] not in said and "PRIVATE" not in said
    assert secret["identity"][40:80] not in redact(f"oops {secret['identity']}")
    assert await stage.set_up() == made
    assert (stage.secret(), await stage.keys()) == (secret, [key])


async def test_a_key_that_the_cluster_lost_is_replaced(stage: Stage) -> None:
    await stage.set_up()
    before = await stage.keys()
    path = f"{stage.namespace}/secrets/{stage.project.name}-git"
    assert stage.kubernetes.http.delete(path).is_success
    await stage.set_up()
    (key,) = await stage.keys()
    assert [key.key] != [one.key for one in before]
    assert public_key_of(stage.secret()["identity"]) == key.key


async def test_an_attempt_that_ended_in_between_leaves_no_second_key(stage: Stage) -> None:
    assert stage.place.server is not None
    fault = stage.place.server.faults.add(r"POST .*keys$", Answer(502), effect=True, times=9)
    error = await refused(stage)
    assert fault.met and not error.non_retryable
    stage.place.server.faults.clear()
    await stage.set_up()
    (key,) = await stage.keys()
    assert public_key_of(stage.secret()["identity"]) == key.key


async def test_a_rollback_removes_the_key_even_where_the_cluster_refuses(stage: Stage) -> None:
    mine = await stage.place.host.add_deploy_key(stage.repository, "mine", HOST_KEY)
    made = await stage.set_up()
    opened = stage.opened
    stage.opened = lambda credential, project: opened("narrow", project)
    with pytest.raises(ApplicationError) as caught:
        await stage.remove(made)
    print(caught.value.message)
    assert not caught.value.non_retryable
    assert 'User "narrow" cannot' in caught.value.message
    assert [known.id for known in await stage.keys()] == [mine]
    stage.opened = opened
    removed = await stage.remove(made)
    assert [entry.partition(" ")[0] for entry in removed] == [
        "Kustomization",
        "GitRepository",
        "Secret",
        "Namespace",
    ]


async def test_a_rollback_removes_the_key_and_names_it(stage: Stage) -> None:
    made = await stage.set_up()
    assert f"deploy key stepway/{stage.project.id}/admin" in (await stage.remove(made))[-1]
    assert await stage.keys() == []


async def test_a_key_goes_although_the_cluster_cannot_be_reached(on_github: Stage) -> None:
    made = await on_github.set_up()

    @asynccontextmanager
    async def away(credential: str, project: ProjectRef) -> AsyncIterator[Any]:
        raise ApplicationError("The cluster cannot be reached", {"remedy": "Wait"})
        yield

    on_github.opened = away
    with pytest.raises(ApplicationError, match="The cluster cannot be reached"):
        await on_github.remove(made)
    assert await on_github.keys() == []


async def test_an_organization_that_forbids_deploy_keys_is_told_of(on_github: Stage) -> None:
    assert on_github.place.server is not None
    told = {
        "message": "Validation Failed",
        "errors": [
            {
                "resource": "PublicKey",
                "code": "custom",
                "message": "Deploy keys are disabled for this repository",
            }
        ],
        "documentation_url": "https://docs.github.com/rest",
        "status": "422",
    }
    on_github.place.server.faults.add(r"POST .*keys$", Answer(422, told))
    error = await refused(on_github)
    assert error.non_retryable
    assert "Deploy keys are disabled for this repository" in error.message
    assert "token that may only read" in error.details[0]["remedy"]


@pytest.mark.parametrize("stored", ["", f"git.example.org {HOST_KEY}\n"])
async def test_a_host_whose_keys_are_not_known_is_not_trusted(
    on_gitlab: Stage, stored: str
) -> None:
    on_gitlab.known_hosts = stored
    error = await refused(on_gitlab)
    assert error.non_retryable
    assert ("do not have 127.0.0.1" if stored else "are not known") in error.message
    assert "--known-hosts FILE" in error.details[0]["remedy"]
    assert await on_gitlab.keys() == []
    assert on_gitlab.kubernetes.http.get(on_gitlab.namespace).status_code == 404
