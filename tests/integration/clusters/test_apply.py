"""Objects are applied to a real API server, and only what is the project's is deleted."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway.activities.cluster.access import OpenCluster
from stepway.activities.cluster.apply_manifests import (
    AppliedManifests,
    ApplyManifestsInput,
    ClusterSteps,
    DeleteManifestsInput,
)
from stepway.activities.project import ProjectRef
from stepway.clusters.cluster import Applied, open_cluster
from stepway.clusters.errors import ClusterError
from tests.support.kubernetes.server import KubernetesServer


def namespace(project: ProjectRef) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": project.name}}


def settings(project: ProjectRef, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": project.name},
        "data": data,
    }


async def apply(
    opened: OpenCluster, project: ProjectRef, *manifests: Any, cluster: str = "admin", **more: Any
) -> AppliedManifests:
    given = ApplyManifestsInput(project, cluster, list(manifests), **more)
    found = await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, given)
    assert isinstance(found, AppliedManifests)
    return found


async def delete(opened: OpenCluster, project: ProjectRef, made: AppliedManifests) -> list[str]:
    given = DeleteManifestsInput(project, "admin", dataclasses.asdict(made))
    return (await ActivityEnvironment().run(ClusterSteps(opened).delete_manifests, given)).removed


async def refusal(opened: OpenCluster, *given: Any, **more: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await apply(opened, *given, **more)
    return caught.value


def config_map(kubernetes: KubernetesServer, project: ProjectRef) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{project.name}/configmaps/settings"
    return kubernetes.http.get(path).json()  # type: ignore[no-any-return]


async def test_objects_carry_the_project_and_a_repetition_changes_nothing(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    text = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n---\n"
    made = await apply(opened, project, namespace(project), text, namespace=project.name)
    assert [(o.kind, o.namespace, o.name) for o in made.objects] == [
        ("Namespace", "", project.name),
        ("ConfigMap", project.name, "settings"),
    ]
    before = config_map(kubernetes, project)
    assert before["data"] == {"a": "b"}
    assert before["metadata"]["labels"]["stepway/project"] == project.id
    assert before["metadata"]["managedFields"][0]["manager"] == "stepway"
    again = await apply(opened, project, namespace(project), text, namespace=project.name)
    assert [o.uid for o in again.objects] == [o.uid for o in made.objects]


async def test_a_new_manifest_updates_the_object(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    await apply(opened, project, namespace(project), settings(project, a="1", b="1"))
    await apply(opened, project, settings(project, a="2"))
    assert config_map(kubernetes, project)["data"] == {"a": "2"}


async def test_an_object_of_others_is_not_touched(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    kubernetes.create("/api/v1/namespaces", namespace(project))
    error = await refusal(opened, project, namespace(project))
    assert error.non_retryable
    assert f"Namespace {project.name} exists in the cluster" in error.message
    other = ProjectRef(str(uuid4()), project.name, "acme")
    mine = await apply(opened, project, settings(project, a="1"))
    assert (
        "was not created by this project"
        in (await refusal(opened, other, settings(project, a="2"))).message
    )
    assert config_map(kubernetes, project)["data"] == {"a": "1"}
    with pytest.raises(ApplicationError, match="does not belong to this project"):
        await delete(opened, other, mine)


async def test_a_rollback_deletes_what_the_step_made_and_may_be_repeated(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    kubernetes.create("/api/v1/namespaces", namespace(project))
    made = await apply(opened, project, settings(project, a="1"))
    assert await delete(opened, project, made) == [f"ConfigMap {project.name}/settings"]
    assert await delete(opened, project, made) == []
    assert config_map(kubernetes, project)["code"] == 404


async def test_an_object_that_was_created_again_by_a_person_stays(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    kubernetes.create("/api/v1/namespaces", namespace(project))
    made = await apply(opened, project, settings(project, a="1"))
    path = f"/api/v1/namespaces/{project.name}/configmaps"
    assert kubernetes.http.delete(f"{path}/settings").is_success
    body = settings(project, a="person")
    body["metadata"]["labels"] = {"stepway/project": project.id}
    kubernetes.create(path, body)
    with pytest.raises(ApplicationError, match="was kept"):
        await delete(opened, project, made)


async def test_a_field_that_another_manager_owns_is_named(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    kubernetes.create("/api/v1/namespaces", namespace(project))
    await apply(opened, project, settings(project, a="1"))
    path = f"/api/v1/namespaces/{project.name}/configmaps/settings?fieldManager=kubectl&force=true"
    changed = kubernetes.http.patch(
        path,
        content='{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"2"}}',
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    assert changed.is_success, changed.text
    error = await refusal(opened, project, settings(project, a="1"))
    assert error.non_retryable
    assert '"kubectl"' in error.message and ".data.a" in error.message


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("kind: [", "a manifest is not YAML"),
        ("just text", "a manifest is not an object"),
        ({"kind": "ConfigMap", "metadata": {"name": "x"}}, "A manifest has no `apiVersion`"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "A manifest has no `metadata.name`"),
        (
            {"apiVersion": "acme.example/v1", "kind": "Shop", "metadata": {"name": "x"}},
            "The cluster has no Shop (acme.example/v1)",
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "UPPER"}},
            "Invalid value",
        ),
    ],
)
async def test_bad_manifests_are_refused_with_the_reason(
    opened: OpenCluster, project: ProjectRef, manifest: Any, expected: str
) -> None:
    error = await refusal(opened, project, manifest)
    assert expected in error.message
    assert error.non_retryable
    assert error.details[0]["remedy"]


async def test_a_missing_right_and_a_terminating_namespace_are_said(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    error = await refusal(opened, project, namespace(project), cluster="narrow")
    assert error.non_retryable
    assert 'User "narrow" cannot' in error.message
    kubernetes.create("/api/v1/namespaces", namespace(project))
    assert kubernetes.http.delete(f"/api/v1/namespaces/{project.name}").is_success
    error = await refusal(opened, project, settings(project, a="1"))
    assert not error.non_retryable
    assert "being terminated" in error.message


async def test_of_two_projects_that_apply_the_same_object_at_once_one_has_it(
    kubernetes: KubernetesServer, project: ProjectRef
) -> None:
    other = str(uuid4())
    config = kubernetes.kubeconfig()
    async with open_cluster(config) as one, open_cluster(config) as two:
        for number in range(10):
            body = config_map_of(project, number)
            results = await asyncio.gather(
                one.apply(body, project.id), two.apply(body, other), return_exceptions=True
            )
            refused = [result for result in results if isinstance(result, ClusterError)]
            (has_it,) = [result for result in results if isinstance(result, Applied)]
            assert len(refused) == 1 and has_it.created
            winner = project.id if results[0] is has_it else other
            assert f"it belongs to the project {winner}" in refused[0].message
            path = f"/api/v1/namespaces/default/configmaps/{body['metadata']['name']}"
            labels = kubernetes.http.get(path).json()["metadata"]["labels"]
            assert labels["stepway/project"] == winner


def config_map_of(project: ProjectRef, number: int) -> dict[str, Any]:
    metadata = {"name": f"{project.name}-{number}", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


async def test_the_same_project_may_apply_an_object_twice_at_once(
    kubernetes: KubernetesServer, project: ProjectRef
) -> None:
    config = kubernetes.kubeconfig()
    async with open_cluster(config) as one, open_cluster(config) as two:
        for number in range(5):
            body = config_map_of(project, number)
            first, second = await asyncio.gather(
                one.apply(body, project.id), two.apply(body, project.id)
            )
            assert first.ref == second.ref


async def test_an_attempt_that_ended_after_the_creation_is_completed(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    """The fields are then as if they had been applied: a later manifest may leave them out."""
    body = config_map_of(project, 1)
    labels = {"stepway/project": project.id}
    path = "/api/v1/namespaces/default/configmaps"
    created = {**body, "metadata": {**body["metadata"], "labels": labels}, "data": {"b": "1"}}
    kubernetes.create(f"{path}?fieldManager=stepway", created)
    await apply(opened, project, body)
    found = kubernetes.http.get(f"{path}/{body['metadata']['name']}").json()
    assert found["data"] == {"a": "1"}
    (entry,) = found["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("stepway", "Apply")
