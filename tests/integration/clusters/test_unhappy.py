"""What people read when a cluster is away, does not know the account, or refuses an object."""

from __future__ import annotations

import socket
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway.activities.cluster.access import ClusterAccess, OpenCluster
from stepway.activities.cluster.apply_manifests import ApplyManifestsInput, ClusterSteps
from stepway.activities.gitops.in_cluster import ClusterGitops, GitopsCluster
from stepway.activities.gitops.manifests import namespace_name
from stepway.activities.gitops.setup_gitops import (
    GitopsSteps,
    RemoveManifestsInput,
    SetupGitopsInput,
)
from stepway.activities.project import ProjectRef
from stepway.vault.kinds import CredentialKind, Target
from stepway.vault.vault import Secret
from tests.support.kubernetes.policy import refusing_policy
from tests.support.kubernetes.server import KubernetesServer
from tests.support.servers import eventually

UNUSED: Any = None


def namespace(project: ProjectRef) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": project.name}}


def config_map(project: ProjectRef) -> dict[str, Any]:
    metadata = {"name": "settings", "namespace": project.name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


class Stored:
    """The one stored credential of kind `kubernetes`."""

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig

    async def open(self, name: str, project: ProjectRef) -> Secret:
        return Secret("", self._kubeconfig, Target(CredentialKind.KUBERNETES, "https://x.test"))


def opening(kubeconfig: str) -> OpenCluster:
    credentials: Any = Stored(kubeconfig)
    return ClusterAccess(credentials)


async def refusal(opened: OpenCluster, project: ProjectRef, *bodies: Any) -> ApplicationError:
    given = ApplyManifestsInput(project, "admin", list(bodies))
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, given)
    print(f"{caught.value.message}\n{caught.value.details[0]['remedy']}")
    return caught.value


async def test_a_cluster_that_is_away_is_an_error_to_retry(
    kubernetes: KubernetesServer, project: ProjectRef
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}"
        away = opening(kubernetes.kubeconfig(server=url))
        error = await refusal(away, project, namespace(project))
    assert not error.non_retryable
    assert f"The cluster {url} cannot be reached" in error.message


async def test_a_certificate_of_a_client_works_until_it_expires(
    kubernetes: KubernetesServer, project: ProjectRef
) -> None:
    valid = kubernetes.clients.user("ada", timedelta(hours=1))
    error = await refusal(opening(kubernetes.kubeconfig(user=valid)), project, namespace(project))
    assert 'User "ada" cannot' in error.message
    expired = kubernetes.clients.user("ada", timedelta(hours=-1))
    error = await refusal(opening(kubernetes.kubeconfig(user=expired)), project, namespace(project))
    assert error.non_retryable
    assert "The cluster answered 401" in error.message
    assert "client certificate is wrong or has expired" in error.details[0]["remedy"]


async def test_a_token_that_the_cluster_does_not_know_is_told(
    kubernetes: KubernetesServer, project: ProjectRef
) -> None:
    error = await refusal(opening(kubernetes.kubeconfig("expired")), project, namespace(project))
    assert error.non_retryable
    assert "The cluster answered 401" in error.message
    assert "valid one" in error.details[0]["remedy"]


async def test_a_foreign_authority_is_told(
    kubernetes: KubernetesServer, project: ProjectRef
) -> None:
    config = kubernetes.kubeconfig(**{"certificate-authority-data": _other_authority(kubernetes)})
    error = await refusal(opening(config), project, namespace(project))
    assert error.non_retryable
    assert "is not trusted" in error.message


async def test_a_kubeconfig_that_runs_a_program_or_reads_files_is_refused(
    kubernetes: KubernetesServer, project: ProjectRef, tmp_path: Path
) -> None:
    """It is refused where it is stored; one that came in another way must not run anything."""
    ran = tmp_path / "ran"
    run: Any = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "touch",
            "args": [str(ran)],
        }
    }
    for user in (run, {"tokenFile": "/nowhere"}, {"client-certificate": "/a", "client-key": "/b"}):
        error = await refusal(
            opening(kubernetes.kubeconfig(user=user)), project, namespace(project)
        )
        assert error.non_retryable
        assert "The kubeconfig" in error.message
    assert not ran.exists()


async def test_flux_that_is_not_installed_is_an_error_to_retry(
    opened: OpenCluster, project: ProjectRef
) -> None:
    body = {"kind": "GitRepository", "metadata": {"name": "x", "namespace": "default"}}
    error = await refusal(opened, project, {**body, "apiVersion": "source.toolkit.fluxcd.io/v9"})
    assert not error.non_retryable
    assert "The cluster has no GitRepository" in error.message
    assert "Install Flux" in error.details[0]["remedy"]


async def test_an_admission_policy_that_refuses_is_told(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef, tmp_path: Path
) -> None:
    given = ApplyManifestsInput(project, "admin", [namespace(project)])
    await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, given)
    denied = "Settings need a cost centre"
    with refusing_policy(kubernetes, project.id, tmp_path, "CREATE", "configmaps", denied):

        async def refused() -> bool:
            path = f"/api/v1/namespaces/{project.name}/configmaps?dryRun=All"
            return kubernetes.http.post(path, json={"metadata": {"name": "x"}}).is_error

        await eventually(refused)
        error = await refusal(opened, project, config_map(project))
    assert error.non_retryable
    assert denied in error.message
    assert "policy" in error.details[0]["remedy"]


async def test_a_namespace_that_is_being_deleted_is_waited_for(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    given = ApplyManifestsInput(project, "admin", [namespace(project)])
    await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, given)
    path = f"/api/v1/namespaces/{project.name}"
    assert kubernetes.http.delete(path).is_success
    said = "Some content in the namespace has finalizers remaining: finalizers.fluxcd.io"
    condition = {
        "type": "NamespaceFinalizersRemaining",
        "status": "True",
        "reason": "SomeFinalizersRemain",
        "message": said,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    kubernetes.set_status(path, {"phase": "Terminating", "conditions": [condition]})
    error = await refusal(opened, project, namespace(project))
    assert error.next_retry_delay is not None
    assert f"Namespace {project.name} is being deleted ({said})" in error.message
    error = await refusal(opened, project, config_map(project))
    assert error.next_retry_delay is not None
    assert "being terminated" in error.message


async def test_two_projects_do_not_share_a_namespace(
    flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    steps = GitopsSteps(UNUSED, ClusterGitops(opened, UNUSED, UNUSED))

    async def set_up(of: ProjectRef) -> Any:
        given = SetupGitopsInput(
            of, "https://git.example/a.git", ["production"], cluster=GitopsCluster("admin")
        )
        return await ActivityEnvironment().run(steps.setup_gitops, given)

    await set_up(project)
    other = ProjectRef(str(uuid4()), "-".join(project.name.split("-")[1:]), "acme-shop")
    assert namespace_name(other) == namespace_name(project)
    with pytest.raises(ApplicationError) as caught:
        await set_up(other)
    print(caught.value.message)
    assert caught.value.non_retryable
    assert f"it belongs to the project {project.id}" in caught.value.message


async def test_a_deployment_that_failed_half_way_is_rolled_back_without_a_result(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    name = namespace_name(project)
    given = ApplyManifestsInput(
        project,
        "admin",
        [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}],
    )
    await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, given)
    steps = GitopsSteps(UNUSED, ClusterGitops(opened, UNUSED, UNUSED))
    undo = RemoveManifestsInput(
        project, "https://git.example/a.git", ["production"], cluster=GitopsCluster("admin")
    )
    removed = await ActivityEnvironment().run(steps.remove_manifests, undo)
    assert removed.removed == [f"Namespace {name}"]


async def test_an_object_without_our_mark_is_not_adopted_and_its_manager_is_named(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    kubernetes.create("/api/v1/namespaces?fieldManager=kubectl-create", namespace(project))
    error = await refusal(opened, project, namespace(project))
    assert error.non_retryable
    assert "it is managed by kubectl-create" in error.message
    copied = {**config_map(project)}
    copied["metadata"] = {**copied["metadata"], "labels": {"stepway/project": project.id}}
    path = f"/api/v1/namespaces/{project.name}/configmaps?fieldManager=kubectl-create"
    kubernetes.create(path, copied)
    error = await refusal(opened, project, config_map(project))
    assert "it is managed by kubectl-create" in error.message


def _other_authority(kubernetes: KubernetesServer) -> str:
    return b64encode(kubernetes.clients.certificate.encode()).decode()
