"""apply_manifests and its undo: apply objects to a Kubernetes cluster, and delete them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from temporalio import activity
from temporalio.exceptions import ApplicationError

from stepway.activities.beats import beating
from stepway.activities.cluster.access import OpenCluster, cluster_errors
from stepway.activities.cluster.applied import AppliedObject, apply_all
from stepway.activities.cluster.delete_all import delete_all, delete_planned
from stepway.activities.project import ProjectRef
from stepway.activities.rollback import Removed
from stepway.clusters.errors import ClusterError
from stepway.clusters.manifests import Manifest, check_manifest
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Skipped


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
class AppliedManifests:
    """`cluster` is its address; `objects` are in the order in which they were applied."""

    cluster: str
    objects: list[AppliedObject]


@dataclass(frozen=True)
class DeleteManifestsInput:
    """`result` is the result of the step that applied the objects.

    None after a step that failed: then `manifests` and `namespace` say what it may have applied.
    """

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
        async with beating() as beats, self._open(given.cluster, given.project) as cluster:
            return AppliedManifests(
                cluster.server,
                await apply_all(cluster, bodies, given.project.id, beats, given.namespace),
            )

    @activity.defn
    async def delete_manifests(self, given: DeleteManifestsInput) -> Removed:
        """Delete the objects that the step created, the last one first.

        Without a result, deletes the project's objects that the manifests name. Goes on after a
        refusal; fails with what is left, and why.
        """
        project_id, result = given.project.id, given.result
        planned = _planned(given.manifests) if result is None else []
        async with beating() as beats, self._open(given.cluster, given.project) as cluster:
            if result is None:
                done = await delete_planned(cluster, planned, project_id, beats, given.namespace)
            else:
                done = await delete_all(cluster, result.get("objects", []), project_id, beats)
        return Removed(done.or_raise())


def _planned(given: Sequence[dict[str, Any] | str]) -> list[Manifest]:
    """Return the manifests; none if one is not valid, because then none was applied."""
    try:
        return _objects(given)
    except (ApplicationError, ClusterError):
        return []


def _objects(given: Sequence[dict[str, Any] | str]) -> list[Manifest]:
    found: list[Manifest] = []
    for entry in given:
        for body in _parsed(entry) if isinstance(entry, str) else [entry]:
            check_manifest(body)
            found.append(body)
    return found


def _parsed(text: str) -> list[Manifest]:
    try:
        bodies = [body for body in yaml.safe_load_all(text) if body is not None]
    except yaml.YAMLError as error:
        raise _bad(f"a manifest is not YAML: {' '.join(str(error).split())}") from None
    except (RecursionError, ValueError, TypeError):
        raise _bad("a manifest is not YAML that can be read") from None
    if any(not isinstance(body, dict) for body in bodies):
        raise _bad("a manifest is not an object")
    return bodies


def _bad(what: str) -> Exception:
    return step_error(
        f"Invalid manifests: {what}", remedy="Correct `manifests` in the blueprint.", retry=False
    )
