"""apply_manifests and its undo: apply objects to a Kubernetes cluster, and delete them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from temporalio import activity

from stepway.activities.cluster.access import OpenCluster, cluster_errors
from stepway.activities.project import ProjectRef
from stepway.activities.rollback import Removed
from stepway.clusters.cluster import Cluster, Manifest, Ref, ref_of
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, Skipped


@dataclass(frozen=True)
class ApplyManifestsInput:
    """`cluster` is the name of a credential of kind `kubernetes`.

    `manifests` are objects, or texts of YAML with one or more of them. `namespace` is for objects
    that name none.
    """

    project: ProjectRef
    cluster: str
    manifests: list[dict[str, Any] | str]
    namespace: str | None = None


@dataclass(frozen=True)
class AppliedObject:
    """An object in the cluster; `generation` is the one that the step applied."""

    api_version: str
    kind: str
    name: str
    namespace: str
    uid: str
    generation: int


@dataclass(frozen=True)
class AppliedManifests:
    """`cluster` is its address; `objects` are in the order in which they were applied."""

    cluster: str
    objects: list[AppliedObject]


@dataclass(frozen=True)
class DeleteManifestsInput:
    """`result` is the result of the step that applied the objects."""

    project: ProjectRef
    cluster: str
    result: dict[str, Any] | None = None
    manifests: list[dict[str, Any] | str] = field(default_factory=list)
    namespace: str | None = None


class ClusterSteps:
    """Applies objects to clusters with server-side apply, as the field manager `stepway`."""

    def __init__(self, open_cluster: OpenCluster) -> None:
        self._open = open_cluster

    @activity.defn
    async def apply_manifests(self, given: ApplyManifestsInput) -> AppliedManifests | Skipped:
        """Apply the objects, each with the project's label. Repeating it changes nothing."""
        with cluster_errors():
            bodies = _objects(given.manifests)
        if not bodies:
            return Skipped("There are no manifests")
        async with self._open(given.cluster, given.project) as cluster:
            return AppliedManifests(
                cluster.server,
                await apply_all(cluster, bodies, given.project.id, given.namespace),
            )

    @activity.defn
    async def delete_manifests(self, given: DeleteManifestsInput) -> Removed:
        """Delete the objects that the step created, the last one first."""
        made = (given.result or {}).get("objects", [])
        async with self._open(given.cluster, given.project) as cluster:
            return Removed(await delete_all(cluster, made, given.project.id))


async def apply_all(
    cluster: Cluster, bodies: Sequence[Manifest], project_id: str, namespace: str | None = None
) -> list[AppliedObject]:
    """Apply the objects in order, with progress. Raises ClusterError."""
    applied = []
    for number, body in enumerate(bodies):
        activity.heartbeat(Progress(100 * number // len(bodies), f"Applying {ref_of(body)}"))
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


async def delete_all(
    cluster: Cluster, objects: Sequence[dict[str, Any]], project_id: str
) -> list[str]:
    """Delete objects from results of `apply_all`, the last one first; return their names."""
    removed = []
    for number, entry in enumerate(reversed(objects)):
        ref = Ref(
            entry["api_version"], entry["kind"], entry["name"], entry["namespace"], entry["uid"]
        )
        activity.heartbeat(Progress(100 * number // len(objects), f"Deleting {ref}"))
        if await cluster.delete(ref, project_id):
            removed.append(str(ref))
    return removed


def _objects(given: Sequence[dict[str, Any] | str]) -> list[Manifest]:
    found: list[Manifest] = []
    for entry in given:
        for body in _parsed(entry) if isinstance(entry, str) else [entry]:
            ref_of(body)
            found.append(body)
    return found


def _parsed(text: str) -> list[Manifest]:
    try:
        bodies = [body for body in yaml.safe_load_all(text) if body is not None]
    except yaml.YAMLError as error:
        raise _bad(f"a manifest is not YAML: {' '.join(str(error).split())}") from None
    if any(not isinstance(body, dict) for body in bodies):
        raise _bad("a manifest is not an object")
    return bodies


def _bad(what: str) -> Exception:
    return step_error(
        f"Invalid manifests: {what}", remedy="Correct `manifests` in the blueprint.", retry=False
    )
