"""Applies objects to a cluster as a project's, and names them in results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepway.activities.beats import Beats
from stepway.clusters.cluster import Cluster
from stepway.clusters.manifests import Manifest, ref_of
from stepway.clusters.ref import Ref
from stepway_tracking.record.progress import Progress


@dataclass(frozen=True)
class AppliedObject:
    """An object in the cluster; `generation` is the one that the step applied."""

    api_version: str
    kind: str
    name: str
    namespace: str
    uid: str
    generation: int


async def apply_all(
    cluster: Cluster,
    bodies: Sequence[Manifest],
    project_id: str,
    beats: Beats,
    namespace: str | None = None,
) -> list[AppliedObject]:
    """Apply the objects in order, with progress. Raises ClusterError."""
    applied = []
    for number, body in enumerate(bodies):
        beats.say(Progress(100 * number // len(bodies), f"Applying {ref_of(body)}"))
        done = await cluster.apply(body, project_id, namespace)
        ref = done.ref
        applied.append(
            AppliedObject(
                ref.api_version,
                ref.kind,
                ref.name,
                ref.namespace,
                ref.uid,
                done.generation,
            )
        )
    return applied


def ref_of_applied(entry: Mapping[str, Any]) -> Ref:
    """Return what an AppliedObject in a step's result names."""
    return Ref(entry["api_version"], entry["kind"], entry["name"], entry["namespace"], entry["uid"])
