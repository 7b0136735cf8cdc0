"""An object is ready when the newest generation is."""

from __future__ import annotations

from typing import Any

import pytest

from stepway.clusters.readiness import readiness
from stepway.clusters.status import Readiness

FLUX = "kustomize.toolkit.fluxcd.io/v1"


def condition(kind: str, status: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "Because", "message": message}


def found(
    api: str, status: dict[str, Any] | None = None, kind: str = "Kustomization", **metadata: Any
) -> dict[str, Any]:
    body = {"apiVersion": api, "kind": kind, "metadata": {"name": "x", **metadata}}
    return body if status is None else {**body, "status": status}


WAITING = Readiness(ready=False, message="waiting for its controller")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (found("v1", kind="ConfigMap"), Readiness(ready=True)),
        (found("v1", {"phase": "Active"}, "Namespace"), Readiness(ready=True, message="Active")),
        (
            found("v1", {"phase": "Terminating"}, "Namespace"),
            Readiness(ready=False, message="Terminating"),
        ),
        (
            found("v1", kind="ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z"),
            Readiness(ready=False, failed=True, message="it is being deleted"),
        ),
        (found(FLUX, generation=1), WAITING),
        (found(FLUX, {"observedGeneration": -1}, generation=1), WAITING),
        (
            found(
                FLUX,
                {"observedGeneration": 1, "conditions": [condition("Ready", "True")]},
                generation=2,
            ),
            WAITING,
        ),
        (
            found(
                FLUX,
                {"observedGeneration": 2, "conditions": [condition("Ready", "True", "Applied")]},
                generation=2,
            ),
            Readiness(ready=True, message="Because: Applied"),
        ),
        (
            found(
                FLUX,
                {
                    "observedGeneration": 2,
                    "conditions": [condition("Ready", "False", "x"), condition("Stalled", "True")],
                },
                generation=2,
            ),
            Readiness(ready=False, failed=True, message="Because"),
        ),
        (
            found(
                "apps/v1",
                {"observedGeneration": 1, "conditions": [condition("Available", "False", "0/1")]},
                "Deployment",
                generation=1,
            ),
            Readiness(ready=False, message="0 of 1 replicas are ready (Because: 0/1)"),
        ),
        (
            found(
                "apps/v1",
                {
                    "observedGeneration": 2,
                    "conditions": [condition("Available", "True")],
                    **{"replicas": 2, "readyReplicas": 2, "updatedReplicas": 1},
                },
                "Deployment",
                generation=2,
            ),
            Readiness(ready=False, message="1 of 1 replicas are ready (Because)"),
        ),
        (
            found(
                "apps/v1",
                {
                    "observedGeneration": 2,
                    "conditions": [condition("Available", "True")],
                    **{"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1},
                    "availableReplicas": 1,
                },
                "Deployment",
                generation=2,
            ),
            Readiness(ready=True, message="1 of 1 replicas are ready"),
        ),
        (
            found("batch/v1", {"conditions": [condition("Failed", "True", "limit")]}, "Job"),
            Readiness(ready=False, failed=True, message="Because: limit"),
        ),
        (
            found("batch/v1", {"conditions": [condition("Complete", "True")]}, "Job"),
            Readiness(ready=True, message="Because"),
        ),
        (
            found(
                "apps/v1",
                {"observedGeneration": 1, "conditions": [condition("Progressing", "True")]},
                "DaemonSet",
                generation=1,
            ),
            WAITING,
        ),
    ],
)
def test_readiness(body: dict[str, Any], expected: Readiness) -> None:
    assert readiness(body) == expected


def counted(**counts: int) -> dict[str, Any]:
    return {"observedGeneration": 1, **counts}


DAEMONS = counted(
    currentNumberScheduled=2,
    updatedNumberScheduled=2,
    numberAvailable=2,
    numberReady=2,
)
REPLICAS = counted(replicas=1, readyReplicas=1, availableReplicas=1, fullyLabeledReplicas=1)
SCALED = [condition("AbleToScale", "True"), condition("ScalingLimited", "False")]
LOOPING = [{"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
ROLLED_OUT = {**REPLICAS, "updatedReplicas": 1, "conditions": [condition("Available", "True")]}
NOTIFICATION, SOURCE = "notification.toolkit.fluxcd.io/v1beta3", "source.toolkit.fluxcd.io/v1"
OCI: dict[str, Any] = {"type": "oci"}


@pytest.mark.parametrize(
    ("api", "kind", "spec", "status"),
    [
        ("batch/v1", "CronJob", {}, {}),
        ("batch/v1", "CronJob", {}, {"lastScheduleTime": "2026-01-01T00:00:00Z"}),
        ("apps/v1", "DaemonSet", {}, {**DAEMONS, "desiredNumberScheduled": 2}),
        ("apps/v1", "DaemonSet", {}, counted(desiredNumberScheduled=0)),
        ("apps/v1", "ReplicaSet", {"replicas": 1}, REPLICAS),
        ("v1", "ReplicationController", {"replicas": 1}, REPLICAS),
        ("apps/v1", "Deployment", {"replicas": 1}, ROLLED_OUT),
        ("apps/v1", "StatefulSet", {"replicas": 1}, {**REPLICAS, "updatedReplicas": 1}),
        ("apps/v1", "StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, counted()),
        (
            "apps/v1",
            "StatefulSet",
            {"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}},
            counted(replicas=2, readyReplicas=2, updatedReplicas=1)
            | {"currentRevision": "a", "updateRevision": "b"},
        ),
        ("apps/v1", "ControllerRevision", {}, None),
        ("autoscaling/v2", "HorizontalPodAutoscaler", {}, {"conditions": SCALED}),
        ("policy/v1", "PodDisruptionBudget", {}, counted(currentHealthy=1)),
        ("v1", "Pod", {}, {"phase": "Running", "conditions": [condition("Ready", "True")]}),
        ("v1", "Pod", {}, {"phase": "Succeeded", "conditions": [condition("Ready", "False")]}),
        ("v1", "PersistentVolumeClaim", {}, {"phase": "Bound"}),
        ("v1", "Service", {"type": "LoadBalancer", "clusterIP": "10.0.0.9"}, {"loadBalancer": {}}),
        ("v1", "Service", {}, {}),
        ("networking.k8s.io/v1", "Ingress", {}, {"loadBalancer": {}}),
        (NOTIFICATION, "Provider", {}, None),
        (NOTIFICATION, "Alert", {}, None),
        (SOURCE, "HelmRepository", OCI, None),
        (SOURCE, "HelmRepository", OCI, {"observedGeneration": -1}),
        ("acme.example/v1", "Shop", {}, None),
        ("acme.example/v1", "Shop", {}, {"conditions": [condition("Synced", "True")]}),
        ("acme.example/v1", "Shop", {}, "open"),
        ("acme.example/v1", "Shop", {}, {"conditions": {"Ready": "True"}}),
        ("acme.example/v1", "Shop", {}, {"conditions": ["Ready", {"type": 1}]}),
        ("acme.example/v1", "Shop", {}, {"observedGeneration": "one"}),
        ("batch/v1", "Job", {"suspend": True}, {"conditions": [condition("Suspended", "True")]}),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            {},
            {"conditions": [condition("NamesAccepted", "True"), condition("Established", "True")]},
        ),
    ],
)
def test_a_healthy_object_is_ready(
    api: str, kind: str, spec: dict[str, Any], status: dict[str, Any] | None
) -> None:
    body = found(api, status, kind, generation=1)
    assert readiness({**body, "spec": spec}).ready


EXCEEDED = {**condition("Progressing", "False"), "reason": "ProgressDeadlineExceeded"}


@pytest.mark.parametrize(
    ("api", "kind", "status"),
    [
        ("apps/v1", "Deployment", {**ROLLED_OUT, "conditions": [EXCEEDED]}),
        ("v1", "Pod", {"phase": "Failed", "reason": "Evicted"}),
        ("v1", "Pod", {"phase": "Running", "containerStatuses": LOOPING}),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            {"conditions": [condition("NamesAccepted", "False")]},
        ),
        ("acme.example/v1", "Shop", {"conditions": [condition("Stalled", "True")]}),
    ],
)
def test_an_object_that_cannot_become_ready_has_failed(
    api: str, kind: str, status: dict[str, Any]
) -> None:
    state = readiness(found(api, status, kind, generation=1))
    assert state.failed and state.message


@pytest.mark.parametrize(
    ("api", "kind", "spec", "status"),
    [
        ("apps/v1", "DaemonSet", {}, None),
        ("apps/v1", "DaemonSet", {}, counted(desiredNumberScheduled=1)),
        ("apps/v1", "StatefulSet", {"replicas": 0}, None),
        (
            "apps/v1",
            "StatefulSet",
            {"replicas": 1},
            {**REPLICAS, "currentRevision": "a", "updateRevision": "b"},
        ),
        (
            "apps/v1",
            "ReplicaSet",
            {},
            {**REPLICAS, "conditions": [condition("ReplicaFailure", "True")]},
        ),
        ("apps/v1", "Deployment", {"progressDeadlineSeconds": 600}, ROLLED_OUT),
        ("policy/v1", "PodDisruptionBudget", {}, {}),
        ("v1", "Pod", {}, {"phase": "Pending", "containerStatuses": "odd"}),
        ("v1", "PersistentVolumeClaim", {}, {"phase": "Pending"}),
        ("v1", "Service", {"type": "LoadBalancer"}, {}),
        ("batch/v1", "Job", {}, {"startTime": "2026-01-01T00:00:00Z"}),
        ("acme.example/v1", "Shop", {}, {"conditions": [condition("Ready", "Unknown")]}),
        ("acme.example/v1", "Shop", {}, {"conditions": [condition("Reconciling", "True")]}),
        (FLUX, "Kustomization", {"suspend": True}, {"observedGeneration": -1}),
    ],
)
def test_an_object_that_may_become_ready_is_waited_for(
    api: str, kind: str, spec: dict[str, Any], status: dict[str, Any] | None
) -> None:
    state = readiness({**found(api, status, kind, generation=1), "spec": spec})
    assert not state.ready and not state.failed and state.message
