"""A rollback in a cluster goes on after a refusal, and says at the end what is left and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway.activities.cluster import delete_all
from stepway.activities.cluster.access import OpenCluster
from stepway.activities.cluster.apply_manifests import (
    AppliedManifests,
    ApplyManifestsInput,
    ClusterSteps,
    DeleteManifestsInput,
)
from stepway.activities.project import ProjectRef
from stepway.clusters.cluster import Cluster
from stepway.clusters.manifests import Manifest
from stepway.clusters.ref import Ref
from tests.support.kubernetes.policy import refusing_policy
from tests.support.kubernetes.server import KubernetesServer
from tests.support.servers import eventually

DENIED = "Nobody deletes secrets here"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delete_all, "GONE_WITHIN", 0.5)
    monkeypatch.setattr(delete_all, "POLL", 0.05)


def manifests(project: ProjectRef) -> list[dict[str, Any]]:
    here = {"namespace": project.name}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": project.name}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "first", **here}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "second", **here}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "third", **here}},
    ]


async def applied(opened: OpenCluster, project: ProjectRef) -> AppliedManifests:
    given = ApplyManifestsInput(project, "admin", list(manifests(project)))
    made = await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, given)
    assert isinstance(made, AppliedManifests)
    return made


async def delete(
    opened: OpenCluster, project: ProjectRef, made: AppliedManifests, cluster: str = "admin"
) -> list[str]:
    given = DeleteManifestsInput(project, cluster, dataclasses.asdict(made))
    return (await ActivityEnvironment().run(ClusterSteps(opened).delete_manifests, given)).removed


async def refused(
    opened: OpenCluster, project: ProjectRef, made: AppliedManifests, cluster: str = "admin"
) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await delete(opened, project, made, cluster)
    print(f"{caught.value.message}\n{caught.value.details[0]['remedy']}")
    return caught.value


def left(kubernetes: KubernetesServer, project: ProjectRef) -> set[str]:
    """The names of what is left, of a namespace that is not being deleted."""
    found = set()
    for kind in ("configmaps", "secrets"):
        items = kubernetes.http.get(f"/api/v1/namespaces/{project.name}/{kind}").json()["items"]
        found |= {item["metadata"]["name"] for item in items}
    namespace = kubernetes.http.get(f"/api/v1/namespaces/{project.name}").json()
    return found | (set() if namespace["metadata"].get("deletionTimestamp") else {"namespace"})


def allow(
    kubernetes: KubernetesServer, name: str, resources: list[str], *, lists: bool = True
) -> None:
    """Give the narrow account the right to read and delete these, and to list everything."""
    rules = [{"apiGroups": [""], "resources": resources, "verbs": ["get", "delete"]}]
    if lists:
        rules.append({"apiGroups": ["*"], "resources": ["*"], "verbs": ["list"]})
    kubernetes.create(f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    kubernetes.create(
        f"{RBAC}/clusterrolebindings",
        {
            "metadata": {"name": name},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": name,
            },
            "subjects": [
                {"kind": "User", "name": "narrow", "apiGroup": "rbac.authorization.k8s.io"}
            ],
        },
    )


async def test_a_missing_right_leaves_only_its_object_and_a_repetition_removes_it(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    made = await applied(opened, project)
    allow(kubernetes, f"{project.name}-1", ["configmaps", "namespaces"])
    try:
        error = await refused(opened, project, made, "narrow")
        assert not error.non_retryable
        secret = f"Secret {project.name}/second"
        assert secret in error.message and 'User "narrow" cannot get' in error.message
        assert f"Namespace {project.name}: was kept" in error.message
        assert left(kubernetes, project) == {"second", "namespace"}
        assert "Give the account" in error.details[0]["remedy"]
        allow(kubernetes, f"{project.name}-2", ["secrets"])
        assert await delete(opened, project, made, "narrow") == [
            secret,
            f"Namespace {project.name}",
        ]
        assert left(kubernetes, project) == set()
    finally:
        for number in (1, 2):
            forbid(kubernetes, f"{project.name}-{number}")


async def test_a_namespace_with_objects_of_others_is_kept_and_they_are_named(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    made = await applied(opened, project)
    path = f"/api/v1/namespaces/{project.name}"
    claim = {
        "metadata": {"name": "customers"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    kubernetes.create(f"{path}/persistentvolumeclaims", claim)
    rules = {"metadata": {"name": "closed"}, "spec": {"podSelector": {}}}
    policies = f"/apis/networking.k8s.io/v1/namespaces/{project.name}/networkpolicies"
    kubernetes.create(policies, rules)
    error = await refused(opened, project, made)
    assert error.non_retryable
    assert f"Namespace {project.name}: was kept: it contains objects" in error.message
    assert "PersistentVolumeClaim customers" in error.message
    assert "NetworkPolicy closed" in error.message
    assert left(kubernetes, project) == {"namespace"}
    # The server has no controller that would remove the finalizer of a claim.
    merge = {"Content-Type": "application/merge-patch+json"}
    free = {"metadata": {"finalizers": None}}
    claims = f"{path}/persistentvolumeclaims/customers"
    assert kubernetes.http.patch(claims, json=free, headers=merge).is_success
    assert kubernetes.http.delete(claims).is_success
    assert kubernetes.http.delete(f"{policies}/closed").is_success
    assert await delete(opened, project, made) == [f"Namespace {project.name}"]


async def test_what_controllers_make_in_a_namespace_does_not_keep_it(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    made = await applied(opened, project)
    path = f"/api/v1/namespaces/{project.name}"
    account = kubernetes.create(f"{path}/serviceaccounts", {"metadata": {"name": "default"}})
    token = {"kubernetes.io/service-account.name": "default"}
    secret = {"metadata": {"name": "default-token", "annotations": token}}
    kubernetes.create(f"{path}/secrets", secret | {"type": "kubernetes.io/service-account-token"})
    kubernetes.create(f"{path}/configmaps", {"metadata": {"name": "kube-root-ca.crt"}})
    kubernetes.create(f"{path}/endpoints", {"metadata": {"name": "web"}})
    owner = {"apiVersion": "v1", "kind": "ServiceAccount", "name": "default"}
    owned = {"name": "owned", "ownerReferences": [{**owner, "uid": account["metadata"]["uid"]}]}
    kubernetes.create(f"{path}/configmaps", {"metadata": owned})
    labels = {"stepway/project": project.id}
    kubernetes.create(f"{path}/configmaps", {"metadata": {"name": "ours", "labels": labels}})
    lease = {"metadata": {"name": "leader"}, "spec": {}}
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{project.name}/leases"
    kubernetes.create(leases, lease)
    assert (await delete(opened, project, made))[-1] == f"Namespace {project.name}"


async def test_a_namespace_whose_objects_may_not_be_listed_is_kept(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    made = await applied(opened, project)
    name = f"{project.name}-3"
    allow(kubernetes, name, ["configmaps", "namespaces", "secrets"], lists=False)
    try:
        error = await refused(opened, project, made, "narrow")
        assert f"Namespace {project.name}: was kept, because" in error.message
        assert 'User "narrow" cannot list resource' in error.message
        assert "right to list" in error.details[0]["remedy"]
        assert left(kubernetes, project) == {"namespace"}
    finally:
        forbid(kubernetes, name)


def forbid(kubernetes: KubernetesServer, name: str) -> None:
    kubernetes.http.delete(f"{RBAC}/clusterrolebindings/{name}")
    kubernetes.http.delete(f"{RBAC}/clusterroles/{name}")


async def test_an_object_that_waits_for_its_finalizer_is_named(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    made = await applied(opened, project)
    path = f"/api/v1/namespaces/{project.name}/configmaps/third"
    merge = {"Content-Type": "application/merge-patch+json"}
    stay = {"metadata": {"finalizers": ["acme.example/stay"]}}
    assert kubernetes.http.patch(path, json=stay, headers=merge).is_success
    error = await refused(opened, project, made)
    assert not error.non_retryable
    assert "its finalizers acme.example/stay have not finished" in error.message
    assert left(kubernetes, project) == {"third", "namespace"}
    go = {"metadata": {"finalizers": None}}
    assert kubernetes.http.patch(path, json=go, headers=merge).is_success
    assert await delete(opened, project, made) == [f"Namespace {project.name}"]
    assert left(kubernetes, project) == set()


async def test_a_policy_of_the_cluster_that_refuses_is_told(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef, tmp_path: Path
) -> None:
    made = await applied(opened, project)
    with refusing_policy(kubernetes, project.id, tmp_path, "DELETE", "secrets", DENIED):
        await eventually(lambda: _is_refused(kubernetes, project))
        error = await refused(opened, project, made)
    assert not error.non_retryable
    assert DENIED in error.message
    assert "policy" in error.details[0]["remedy"]
    assert left(kubernetes, project) == {"second", "namespace"}


async def test_a_step_that_failed_half_way_is_rolled_back_without_a_result(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    """Of what its manifests name, the project's objects go; those of others are not touched."""
    path = f"/api/v1/namespaces/{project.name}"
    bodies: list[Any] = [*manifests(project)[:3]]
    given = ApplyManifestsInput(project, "admin", bodies)
    await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, given)
    kubernetes.create(f"{path}/configmaps", {"metadata": {"name": "third"}})
    bodies.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "third"}})
    bodies.append({"apiVersion": "acme.example/v1", "kind": "Shop", "metadata": {"name": "x"}})
    given = ApplyManifestsInput(project, "admin", bodies, project.name)
    with pytest.raises(ApplicationError, match="was not created by this project"):
        await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, given)
    assert kubernetes.http.delete(f"{path}/configmaps/third").is_success
    kubernetes.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": project.name}})
    elsewhere = {"name": project.name, "namespace": "default"}
    bodies.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": elsewhere})
    undo = DeleteManifestsInput(project, "admin", None, bodies, project.name)
    removed = await ActivityEnvironment().run(ClusterSteps(opened).delete_manifests, undo)
    assert removed.removed == [
        f"Secret {project.name}/second",
        f"ConfigMap {project.name}/first",
        f"Namespace {project.name}",
    ]
    kept = f"/api/v1/namespaces/default/configmaps/{project.name}"
    assert kubernetes.http.get(kept).is_success
    assert left(kubernetes, project) == set()


async def test_manifests_that_were_refused_leave_nothing_to_roll_back(
    opened: OpenCluster, project: ProjectRef
) -> None:
    bad: list[Any] = [*manifests(project), {"kind": "ConfigMap"}]
    undo = DeleteManifestsInput(project, "admin", None, bad)
    removed = await ActivityEnvironment().run(ClusterSteps(opened).delete_manifests, undo)
    assert removed.removed == []


async def test_objects_whose_kind_is_gone_are_gone(
    opened: OpenCluster, project: ProjectRef
) -> None:
    made = await applied(opened, project)
    gone = dataclasses.replace(made.objects[1], api_version="acme.example/v1", kind="Shop")
    more = dataclasses.replace(made, objects=[*made.objects, gone])
    assert len(await delete(opened, project, more)) == len(made.objects)


async def test_a_copied_label_does_not_make_an_object_ours(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    made = await applied(opened, project)
    path = f"/api/v1/namespaces/{project.name}/configmaps"
    assert kubernetes.http.delete(f"{path}/third").is_success
    labels = {"stepway/project": project.id}
    copied = kubernetes.create(path, {"metadata": {"name": "third", "labels": labels}})
    copy = dataclasses.replace(made.objects[3], uid=copied["metadata"]["uid"])
    error = await refused(opened, project, dataclasses.replace(made, objects=[copy]))
    assert error.non_retryable
    assert "was kept: it does not belong to this project: it is managed by" in error.message
    assert "third" in left(kubernetes, project)


async def test_an_object_that_a_person_creates_again_during_the_rollback_stays(
    kubernetes: KubernetesServer,
    opened: OpenCluster,
    project: ProjectRef,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = await applied(opened, project)
    path = f"/api/v1/namespaces/{project.name}/configmaps"
    read, recreated = Cluster.read, []

    async def read_and_recreate(self: Cluster, ref: Ref) -> Manifest | None:
        found = await read(self, ref)
        if ref.name == "third" and not recreated:
            assert kubernetes.http.delete(f"{path}/third").is_success
            recreated.append(kubernetes.create(path, {"metadata": {"name": "third"}}))
        return found

    monkeypatch.setattr(Cluster, "read", read_and_recreate)
    error = await refused(opened, project, made)
    assert f"ConfigMap {project.name}/third: was kept" in error.message
    assert left(kubernetes, project) == {"third", "namespace"}
    kept = kubernetes.http.get(f"{path}/third").json()
    assert kept["metadata"]["uid"] == recreated[0]["metadata"]["uid"]


async def test_an_object_that_changes_meanwhile_is_deleted(
    kubernetes: KubernetesServer,
    opened: OpenCluster,
    project: ProjectRef,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = await applied(opened, project)
    path = f"/api/v1/namespaces/{project.name}/configmaps/third"
    read, changed = Cluster.read, []

    async def read_and_change(self: Cluster, ref: Ref) -> Manifest | None:
        found = await read(self, ref)
        if ref.name == "third" and not changed:
            merge = {"Content-Type": "application/merge-patch+json"}
            changed.append(
                kubernetes.http.patch(
                    path, json={"metadata": {"annotations": {"a": "1"}}}, headers=merge
                )
            )
        return found

    monkeypatch.setattr(Cluster, "read", read_and_change)
    await delete(opened, project, made)
    assert changed[0].is_success
    assert left(kubernetes, project) == set()


async def test_data_that_somebody_has_changed_is_kept_with_its_namespace(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    made = await applied(opened, project)
    merge = {"Content-Type": "application/merge-patch+json"}
    for kind, name, data in (("configmaps", "third", "by hand"), ("secrets", "second", "eA==")):
        path = f"/api/v1/namespaces/{project.name}/{kind}/{name}?fieldManager=kubectl-edit"
        changed = kubernetes.http.patch(path, json={"data": {"mine": data}}, headers=merge)
        assert changed.is_success, changed.text
    error = await refused(opened, project, made)
    assert error.non_retryable
    for ref in (f"ConfigMap {project.name}/third", f"Secret {project.name}/second"):
        assert f"{ref}: was kept: its data was changed by kubectl-edit" in error.message
    assert left(kubernetes, project) == {"second", "third", "namespace"}


async def _is_refused(kubernetes: KubernetesServer, project: ProjectRef) -> bool:
    """Whether the server knows the webhook already."""
    path = f"/api/v1/namespaces/{project.name}/secrets/second?dryRun=All"
    return kubernetes.http.delete(path).status_code != 200
