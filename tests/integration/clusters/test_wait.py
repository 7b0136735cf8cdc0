"""A step waits until Flux has deployed the newest generation, and shows what Flux says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from stepway.activities.cluster import wait_for_ready
from stepway.activities.cluster.access import OpenCluster
from stepway.activities.cluster.apply_manifests import (
    AppliedManifests,
    ApplyManifestsInput,
    ClusterSteps,
)
from stepway.activities.cluster.wait_for_ready import (
    ReadyObjects,
    WaitForReadyInput,
    WaitingSteps,
)
from stepway.activities.database.create_environments import EnvironmentSpec
from stepway.activities.gitops.manifests import Deployment, namespace_name, objects, pull_secret
from stepway.activities.project import ProjectRef
from stepway_tracking.record.progress import Progress
from tests.support.kubernetes.server import KubernetesServer
from tests.support.servers import PATIENCE, eventually

KUSTOMIZE = "/apis/kustomize.toolkit.fluxcd.io/v1"
SOURCE = "/apis/source.toolkit.fluxcd.io/v1"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_for_ready, "POLL", 0.05)


class Waiting:
    """A run of wait_for_ready on the objects of a deployment, and a player of Flux."""

    def __init__(self, server: KubernetesServer, project: ProjectRef) -> None:
        self.server, self.project = server, project
        self.environment = ActivityEnvironment()
        self.said: list[str] = []
        self.environment.on_heartbeat = self._heard

    def _heard(self, *details: Any) -> None:
        self.said += [d.message for d in details if isinstance(d, Progress)]

    def say(
        self, kind: str, name: str, status: str, reason: str, message: str, **more: Any
    ) -> None:
        """Set the condition Ready of an object, as Flux does."""
        api = SOURCE if kind == "gitrepositories" else KUSTOMIZE
        path = f"{api}/namespaces/{namespace_name(self.project)}/{kind}/{name}"
        generation = self.server.http.get(path).json()["metadata"]["generation"]
        ready = condition("Ready", status, reason, message)
        self.server.set_status(
            path,
            {"observedGeneration": generation, "conditions": [ready], **more},
        )

    async def until_said(self, part: str) -> None:
        async def heard() -> bool:
            return any(part in message for message in self.said)

        await eventually(heard)


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    at = "2026-01-01T00:00:00Z"
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": at,
    }


@asynccontextmanager
async def deployed(
    server: KubernetesServer, opened: OpenCluster, project: ProjectRef, within: float = PATIENCE
) -> AsyncIterator[tuple[Waiting, asyncio.Task[ReadyObjects]]]:
    """Apply a deployment to one environment, and wait for it."""
    deployment = Deployment(
        project, "https://git.example/acme/shop.git", [EnvironmentSpec("production")], "shop-git"
    )
    namespace, *others = objects(deployment).values()
    bodies = [namespace, pull_secret(project, {"username": "git", "password": "x"}), *others]
    waiting = Waiting(server, project)
    applying = ApplyManifestsInput(project, "admin", bodies)
    made = await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, applying)
    assert isinstance(made, AppliedManifests)
    given = WaitForReadyInput(project, "admin", [asdict(entry) for entry in made.objects], within)
    task = asyncio.create_task(waiting.environment.run(WaitingSteps(opened).wait_for_ready, given))
    try:
        yield waiting, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_flux_is_followed_until_all_is_ready(
    flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    async with deployed(flux, opened, project) as (waiting, task):
        await waiting.until_said("waiting for its controller")
        waiting.say("gitrepositories", project.name, "False", "GitOperationFailed", "no such host")
        await waiting.until_said(f"/{project.name}: GitOperationFailed: no such host")
        waiting.say("gitrepositories", project.name, "True", "Succeeded", "stored artifact")
        name = f"{project.name}-production"
        waiting.say("kustomizations", name, "Unknown", "Progressing", "Reconciling")
        await waiting.until_said("Progressing: Reconciling")
        waiting.say("kustomizations", name, "True", "ReconciliationSucceeded", "Applied main@sha1")
        ready = (await task).ready
    assert ready[f"Kustomization {namespace_name(project)}/{name}"].endswith("Applied main@sha1")


async def test_an_old_generation_that_is_ready_does_not_count(
    flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    async with deployed(flux, opened, project) as (waiting, task):
        waiting.say("gitrepositories", project.name, "True", "Succeeded", "stored")
        waiting.say(
            "kustomizations",
            f"{project.name}-production",
            "True",
            "ReconciliationSucceeded",
            "the one before",
            observedGeneration=0,
        )
        waiting.said.clear()
        await waiting.until_said("waiting for its controller")
        assert not task.done()


async def test_what_cannot_become_ready_fails_with_fluxs_own_reason(
    flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    async with deployed(flux, opened, project) as (waiting, task):
        stalled = condition("Stalled", "True", "InvalidURL", "unsupported protocol")
        waiting.say("gitrepositories", project.name, "False", "x", "y", conditions=[stalled])
        with pytest.raises(ApplicationError) as caught:
            await task
    assert "cannot become ready: InvalidURL: unsupported protocol" in caught.value.message
    assert caught.value.non_retryable


async def test_what_is_not_ready_in_time_fails_with_the_last_message(
    flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    async with deployed(flux, opened, project, within=1.0) as (waiting, task):
        waiting.say("gitrepositories", project.name, "True", "Succeeded", "stored")
        name = f"{project.name}-production"
        waiting.say("kustomizations", name, "False", "BuildFailed", "path not found")
        with pytest.raises(ApplicationError) as caught:
            await task
    assert "is not ready after 1 s: BuildFailed: path not found" in caught.value.message
    assert caught.value.details[0]["remedy"]
    assert caught.value.non_retryable, "the next attempt would wait as long once more"


async def test_an_object_that_is_deleted_meanwhile_fails_the_step(
    flux: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    async with deployed(flux, opened, project) as (waiting, task):
        await waiting.until_said("waiting")
        path = f"{SOURCE}/namespaces/{namespace_name(project)}/gitrepositories/{project.name}"
        assert flux.http.delete(path).is_success
        with pytest.raises(ApplicationError, match="cannot become ready: it is gone"):
            await task


def workload(kind: str) -> dict[str, Any]:
    pod: dict[str, Any] = {"containers": [{"name": "web", "image": "web"}]}
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    if kind == "DaemonSet":
        return {"apiVersion": "apps/v1", "kind": kind} | {
            "spec": {"selector": {"matchLabels": labels}, "template": template}
        }
    job = {"template": {**template, "spec": {**pod, "restartPolicy": "Never"}}}
    return {"apiVersion": "batch/v1beta1", "kind": kind} | {
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job}}
    }


async def test_kinds_without_conditions_become_ready(
    kubernetes: KubernetesServer, opened: OpenCluster, project: ProjectRef
) -> None:
    metadata = {"metadata": {"name": project.name, "namespace": "default"}}
    bodies: list[Any] = [{**workload(kind), **metadata} for kind in ("DaemonSet", "CronJob")]
    applying = ApplyManifestsInput(project, "admin", bodies)
    made = await ActivityEnvironment().run(ClusterSteps(opened).apply_manifests, applying)
    assert isinstance(made, AppliedManifests)
    given = WaitForReadyInput(project, "admin", [asdict(entry) for entry in made.objects], PATIENCE)
    waiting = Waiting(kubernetes, project)
    task = asyncio.create_task(waiting.environment.run(WaitingSteps(opened).wait_for_ready, given))
    await waiting.until_said("DaemonSet")
    names = ("currentNumberScheduled", "desiredNumberScheduled", "updatedNumberScheduled")
    more = ("numberAvailable", "numberReady", "numberMisscheduled", "observedGeneration")
    path = f"/apis/apps/v1/namespaces/default/daemonsets/{project.name}"
    kubernetes.set_status(path, dict.fromkeys((*names, *more), 1))
    assert len((await task).ready) == len(bodies)
