"""An object is ready when the newest generation is."""

from __future__ import annotations

from typing import Any

import pytest

from stepway.clusters.readiness import Readiness, readiness

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
