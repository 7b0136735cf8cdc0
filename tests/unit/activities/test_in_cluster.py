"""The credential with which Flux reads the repository goes to that repository's host only."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway.activities.database.create_environments import EnvironmentSpec
from stepway.activities.gitops.in_cluster import ClusterGitops, GitopsCluster
from stepway.activities.gitops.manifests import Deployment
from stepway.activities.project import ProjectRef
from stepway.clusters.cluster import Applied
from stepway.clusters.manifests import ref_of
from stepway.clusters.ref import Ref
from stepway.vault.kinds import CredentialKind, Target
from stepway.vault.vault import Secret

PROJECT = ProjectRef("11111111-1111-4111-8111-111111111111", "shop", "acme")
URL = "https://git.example/acme/shop.git"
NO_KEYS: Any = None


def data_of(secret: dict[str, Any]) -> dict[str, str]:
    return {name: b64decode(value).decode() for name, value in secret["data"].items()}


class Cluster:
    """Keeps what is applied."""

    server = "https://cluster.example"

    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []

    async def apply(self, manifest: dict[str, Any], project_id: str, namespace: str) -> Applied:
        self.applied.append(manifest)
        ref = ref_of(manifest)
        return Applied(Ref(ref.api_version, ref.kind, ref.name, ref.namespace, "uid"), True, 1)

    def of_kind(self, kind: str) -> dict[str, Any]:
        return next(body for body in self.applied if body["kind"] == kind)


async def set_up(secret: Secret | None, url: str = URL, branch: str = "main") -> Cluster:
    cluster = Cluster()

    @asynccontextmanager
    async def opened(credential: str, project: ProjectRef) -> AsyncIterator[Any]:
        yield cluster

    class Credentials:
        async def open(self, name: str, project: ProjectRef) -> Secret:
            assert secret is not None
            return secret

    gitops = ClusterGitops(opened, Credentials(), NO_KEYS)  # type: ignore[arg-type]
    deployment = Deployment(PROJECT, url, [EnvironmentSpec("production")], branch=branch)
    target = GitopsCluster("cluster", "pull" if secret else None)

    async def run() -> None:
        await gitops.set_up(deployment, target)

    await ActivityEnvironment().run(run)
    return cluster


def token(address: str = "https://git.example", **more: Any) -> Secret:
    return Secret("bot", "s3cret-token", Target(CredentialKind.GITEA, address, **more))


async def test_a_public_repository_needs_no_secret_and_its_branch_is_followed() -> None:
    cluster = await set_up(None, branch="trunk")
    spec = cluster.of_kind("GitRepository")["spec"]
    assert "secretRef" not in spec
    assert spec["ref"] == {"branch": "trunk"}
    assert not [body for body in cluster.applied if body["kind"] == "Secret"]


async def test_a_token_and_its_authority_are_stored_for_flux() -> None:
    cluster = await set_up(token(ca="PEM"))
    secret = cluster.of_kind("Secret")
    assert data_of(secret) == {
        "username": "bot",
        "password": "s3cret-token",
        "ca.crt": "PEM",
    }
    spec = cluster.of_kind("GitRepository")["spec"]
    assert spec["secretRef"] == {"name": secret["metadata"]["name"]}
    kinds = [body["kind"] for body in cluster.applied]
    assert kinds == ["Namespace", "Secret", "GitRepository", "Kustomization"]


async def test_an_ssh_key_is_used_over_ssh() -> None:
    target = Target(CredentialKind.SSH, "ssh://git@git.example", ca="git.example ssh-ed25519 A")
    cluster = await set_up(Secret("", "PRIVATE KEY", target))
    assert cluster.of_kind("GitRepository")["spec"]["url"] == "ssh://git@git.example/acme/shop.git"
    assert data_of(cluster.of_kind("Secret")) == {
        "identity": "PRIVATE KEY",
        "known_hosts": "git.example ssh-ed25519 A",
    }


@pytest.mark.parametrize(
    ("secret", "url"),
    [
        (token(), "https://evil.example/acme/shop.git"),
        (token(), "http://git.example/acme/shop.git"),
        (token("https://git.example/group"), "https://git.example/groups/shop.git"),
        (token("https://git.example:8443"), URL),
        (Secret("bot", "s3cret-token"), "http://git.example/acme/shop.git"),
    ],
)
async def test_it_is_given_to_no_other_host(secret: Secret, url: str) -> None:
    with pytest.raises(ApplicationError, match="Flux cannot read") as caught:
        await set_up(secret, url)
    assert caught.value.non_retryable


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (CredentialKind.GITHUB_APP, "key"),
        (CredentialKind.GITLAB, '{"access_token": "a", "refresh_token": "b"}'),
    ],
)
async def test_tokens_that_expire_soon_are_refused(kind: CredentialKind, value: str) -> None:
    with pytest.raises(ApplicationError, match=f"of kind {kind}") as caught:
        await set_up(Secret("bot", value, Target(kind, "https://git.example")))
    assert caught.value.non_retryable
