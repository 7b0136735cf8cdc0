"""A Kubernetes cluster as one account: server-side apply, reading, and deletion of what is ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from stepway.clusters.connection import TERMINATING, Connection, connected
from stepway.clusters.contents import others_in
from stepway.clusters.errors import ClusterError, HasOthers, KindMissing, NotOurs
from stepway.clusters.kinds import Kind, kind_of
from stepway.clusters.manifests import Manifest, check_manifest, ref_of
from stepway.clusters.ref import Ref
from stepway.clusters.status import mapping, number, status_of, text

FIELD_MANAGER = "stepway"
OWNER_LABEL = "stepway/project"
"""The label with the ID of the project that an object belongs to."""

_APPLY = "application/apply-patch+yaml"
_PATCH = "application/json-patch+json"
_WITH_DATA = frozenset({("v1", "ConfigMap"), ("v1", "Secret")})
_DATA = frozenset({"f:data", "f:binaryData"})
_TRIES = 5
_SHOWN = 10
_ANONYMOUS = "system:anonymous"
_REVIEWS = "apis/authentication.k8s.io/v1/selfsubjectreviews"
_REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


@dataclass(frozen=True)
class Applied:
    """An applied object; `created`: whether there was none before. `generation` is its newest."""

    ref: Ref
    created: bool
    generation: int


@asynccontextmanager
async def open_cluster(kubeconfig: str | None) -> AsyncIterator[Cluster]:
    """Open the cluster of a kubeconfig; of the worker's own pod for None. Raises ClusterError."""
    async with connected(kubeconfig) as connection:
        yield Cluster(connection)


@dataclass
class Cluster:
    """Requests to one cluster. All methods raise ClusterError and are bounded in time."""

    _connection: Connection
    _kinds: dict[tuple[str, str], Kind] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """The address of the API server, for people."""
        return self._connection.server

    async def account(self) -> str:
        """Return the account's name in the cluster; "" if the cluster does not tell it.

        Kubernetes before 1.28 does not, and one that does not let the account ask.
        """
        try:
            review = await self._connection.send("POST", _REVIEWS, body=_REVIEW)
        except ClusterError as error:
            if error.status not in (403, 404) or _ANONYMOUS in error.message:
                raise
            await self._connection.send("GET", "api")
            return ""
        name = mapping(mapping(review, "status"), "userInfo").get("username")
        if not isinstance(name, str):
            self._connection.refuse_answer()
        return name

    async def apply(
        self, manifest: Manifest, project_id: str, namespace: str | None = None
    ) -> Applied:
        """Apply a manifest with the project's label; by default, to this namespace.

        Refuses an object that exists and is not the project's, or is being deleted, and a field
        that another manager owns.
        """
        check_manifest(manifest)
        kind = await self._kind(ref_of(manifest))
        manifest = _placed(manifest, kind, namespace or self._connection.namespace)
        ref, body = ref_of(manifest), _labelled(manifest, project_id)
        created = False
        for _ in range(_TRIES):
            before = await self.read(ref)
            if before is None:
                before = await self._created(kind, ref, body)
                created = before is not None
            if before is None:
                continue
            _refuse_terminating(ref, before)
            _refuse_others(ref, before, project_id)
            after = await self._applied(kind, ref, body, before)
            if after is not None:
                return Applied(
                    replace(ref, uid=after["metadata"]["uid"]),
                    created,
                    generation=number(after["metadata"], "generation") or 0,
                )
        raise _changing(ref)

    async def _created(self, kind: Kind, ref: Ref, body: Manifest) -> Manifest | None:
        """Create an object; None if somebody else has just done so.

        A server-side apply would not tell: of two projects, the later one would take the object.
        """
        try:
            return await self._send(
                "POST",
                kind.path(ref.namespace),
                ref,
                body=body,
                params={"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"},
            )
        except ClusterError as error:
            if error.reason == "AlreadyExists":
                return None
            raise

    async def _applied(
        self, kind: Kind, ref: Ref, body: Manifest, before: Manifest
    ) -> Manifest | None:
        """Apply to the object as it was read; None if it has changed or is gone since."""
        path = kind.path(ref.namespace, ref.name)
        try:
            if (patch := _as_applied(before)) is not None:
                before = await self._send("PATCH", path, ref, body=patch, content_type=_PATCH)
            metadata = {
                **body["metadata"],
                "resourceVersion": before["metadata"].get("resourceVersion"),
                "uid": before["metadata"]["uid"],
            }
            return await self._send(
                "PATCH",
                path,
                ref,
                body={**body, "metadata": metadata},
                content_type=_APPLY,
                params={"fieldManager": FIELD_MANAGER},
            )
        except ClusterError as error:
            if _is_changed(error):
                return None
            raise

    async def ref_of(self, manifest: Manifest, namespace: str | None = None) -> Ref:
        """Return what `apply` would apply, without a uid. Raises KindMissing too."""
        kind = await self._kind(ref_of(manifest))
        return ref_of(_placed(manifest, kind, namespace or self._connection.namespace))

    async def read(self, ref: Ref) -> Manifest | None:
        """Return an object; None if there is none."""
        kind = await self._kind(ref)
        try:
            return await self._send("GET", self._path(kind, ref), ref)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    async def delete(self, ref: Ref, project_id: str) -> bool:
        """Start the deletion of an object, and of what it owns; False if it is gone.

        Raises NotOurs for an object that is not the project's, or was created again since, and
        HasOthers for a namespace with objects that are not the project's and for a ConfigMap or
        Secret whose data somebody else has changed.
        """
        for _ in range(_TRIES):
            found = await self._found(ref)
            if found is None:
                return False
            _refuse_to_delete(ref, found, project_id)
            if found["metadata"].get("deletionTimestamp"):
                return True
            if (ref.api_version, ref.kind) == ("v1", "Namespace"):
                await self._refuse_others_in(ref, project_id)
            if await self._deleted(ref, found):
                return True
        raise _changing(ref)

    async def _refuse_others_in(self, ref: Ref, project_id: str) -> None:
        """Raise ClusterError if a namespace has objects of others, which would be deleted too."""
        try:
            others = await others_in(self._connection, ref.name, (OWNER_LABEL, project_id))
        except ClusterError as error:
            if error.status not in (401, 403):
                raise
            raise ClusterError(
                f"{ref} was kept, because the account may not list what is in it: {error.message}",
                remedy="Give the account of the kubeconfig the right to list all kinds of objects, "
                "then retry; or delete the namespace manually.",
                status=error.status,
            ) from error
        if others:
            more = len(others) - _SHOWN
            named = ", ".join(others[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
            raise HasOthers(
                f"{ref} was kept: it contains objects that are not this project's: {named}",
                remedy="Move or delete them, then delete the namespace manually or retry.",
            )

    async def _found(self, ref: Ref) -> Manifest | None:
        try:
            return await self.read(ref)
        except KindMissing:  # its objects went with it
            return None

    async def _deleted(self, ref: Ref, found: Manifest) -> bool:
        """Delete the object as it was read; False if it has changed or is gone since."""
        metadata = found["metadata"]
        conditions = {name: metadata.get(name) for name in ("uid", "resourceVersion")}
        try:
            await self._connection.send(
                "DELETE",
                self._path(await self._kind(ref), ref),
                about=ref,
                body={"propagationPolicy": "Background", "preconditions": conditions},
            )
        except ClusterError as error:
            if error.status in (404, 409):
                return False
            raise
        return True

    async def _send(self, method: str, path: str, ref: Ref, **more: Any) -> Manifest:
        """Send a request that answers with the object."""
        found = await self._connection.send(method, path, about=ref, **more)
        if not _is_object(found):
            self._connection.refuse_answer()
        return found

    def _path(self, kind: Kind, ref: Ref) -> str:
        return kind.path(ref.namespace or self._connection.namespace, ref.name)

    async def _kind(self, ref: Ref) -> Kind:
        known = self._kinds.get((ref.api_version, ref.kind))
        if known is None:
            known = self._kinds[ref.api_version, ref.kind] = await kind_of(self._connection, ref)
        return known


def _is_object(found: Manifest) -> bool:
    """Whether an answer has the metadata that every object has."""
    metadata = found.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("uid"), str):
        return False
    texts = isinstance(metadata.get("labels") or {}, dict)
    managers = metadata.get("managedFields") or []
    finalizers = metadata.get("finalizers") or []
    return (
        texts
        and isinstance(managers, list)
        and all(isinstance(entry, dict) for entry in managers)
        and isinstance(finalizers, list)
        and all(isinstance(entry, str) for entry in finalizers)
    )


def foreign_owner(found: Mapping[str, Any], project_id: str) -> str | None:
    """Return who has an object, for people; None if it is the project's.

    A copy of the project's label is not enough: Stepway must be a manager of the object.
    """
    metadata = found["metadata"]
    owner = (metadata.get("labels") or {}).get(OWNER_LABEL)
    entries = metadata.get("managedFields") or ()
    managers = list(dict.fromkeys(text(entry, "manager") for entry in entries))
    if owner == project_id and FIELD_MANAGER in managers:
        return None
    if owner and owner != project_id:
        return f"it belongs to the project {owner}"
    others = ", ".join(filter(None, managers))
    return f"it is managed by {others}" if others else f"it has no label {OWNER_LABEL}"


def waiting_deletion(found: Mapping[str, Any]) -> str:
    """Return what the deletion of an object waits for, in Kubernetes' own words."""
    said = [
        text(entry, "message")
        for entry in status_of(found).conditions.values()
        if found.get("kind") == "Namespace" and entry.get("status") == "True"
    ]
    finalizers = found["metadata"].get("finalizers") or ()
    if finalizers:
        said.append(f"its finalizers {', '.join(finalizers)} have not finished")
    return "; ".join(filter(None, said)) or "it is still being deleted"


def _as_applied(found: Manifest) -> list[dict[str, Any]] | None:
    """Return the patch that makes what we have created the same as applied; None if it is so.

    Otherwise a field that a later manifest leaves out would stay. kubectl does the same.
    """
    entries = found["metadata"].get("managedFields") or []
    created = [entry for entry in entries if _is_ours(entry, "Update")]
    if not created:
        return None
    ours = {**created[0], "operation": "Apply"}
    for entry in entries:
        if _is_ours(entry, "Apply"):
            ours["fieldsV1"] = _united(mapping(ours, "fieldsV1"), mapping(entry, "fieldsV1"))
    others = [entry for entry in entries if text(entry, "manager") != FIELD_MANAGER]
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": [ours, *others]},
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": found["metadata"].get("resourceVersion"),
        },
    ]


def _is_ours(entry: Mapping[str, Any], operation: str) -> bool:
    return (text(entry, "manager"), text(entry, "operation")) == (FIELD_MANAGER, operation)


def _united(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    inner = {
        name: _united(mapping(one, name), mapping(other, name)) for name in one if name in other
    }
    return {**one, **other, **inner}


def _is_changed(error: ClusterError) -> bool:
    """Whether the object was changed, or deleted, since it was read."""
    is_changed = error.status == 409 and "the object has been modified" in error.message
    return is_changed or error.status == 404 or "uid mismatch" in error.message


def _changing(ref: Ref) -> ClusterError:
    return ClusterError(
        f"{ref} was changed by others during each of {_TRIES} attempts",
        remedy="Check what changes it all the time, then retry.",
        later=True,
    )


def _refuse_others(ref: Ref, found: Manifest, project_id: str) -> None:
    if (owner := foreign_owner(found, project_id)) is not None:
        raise ClusterError(
            f"{ref} exists in the cluster and was not created by this project: {owner}",
            remedy="Choose another name, or delete the object if it is no longer needed.",
        )


def _refuse_to_delete(ref: Ref, found: Manifest, project_id: str) -> None:
    owner = foreign_owner(found, project_id)
    if owner is None and ref.uid and found["metadata"]["uid"] != ref.uid:
        owner = "it was deleted and created again in the meantime"
    if owner is not None:
        raise NotOurs(
            f"{ref} was kept: it does not belong to this project: {owner}",
            remedy="Check it, and remove it manually if it is no longer needed.",
        )
    if others := _who_changed_data(ref, found):
        raise HasOthers(
            f"{ref} was kept: its data was changed by {', '.join(others)}",
            remedy="Save what is needed of it, then remove it manually.",
        )


def _who_changed_data(ref: Ref, found: Manifest) -> list[str]:
    """Return the other managers of the data of a ConfigMap or Secret.

    Of other kinds, controllers change most fields as well.
    """
    if (ref.api_version, ref.kind) not in _WITH_DATA:
        return []
    entries = found["metadata"].get("managedFields") or ()
    changed = [entry for entry in entries if _DATA & set(mapping(entry, "fieldsV1"))]
    names = dict.fromkeys(text(entry, "manager") for entry in changed)
    return [name for name in names if name != FIELD_MANAGER]


def _refuse_terminating(ref: Ref, found: Manifest) -> None:
    if found["metadata"].get("deletionTimestamp"):
        raise ClusterError(
            f"{ref} is being deleted ({waiting_deletion(found)})",
            remedy=f"Wait until the {ref.kind} is gone: the step is tried again.",
            later=True,
            retry_after=TERMINATING,
        )


def _placed(manifest: Manifest, kind: Kind, namespace: str) -> Manifest:
    """Return the manifest in its namespace or this one; objects of the whole cluster in none."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "namespace"}
    if kind.is_namespaced:
        metadata["namespace"] = manifest["metadata"].get("namespace") or namespace
    return {**manifest, "metadata": metadata}


def _labelled(manifest: Manifest, project_id: str) -> Manifest:
    metadata = dict(manifest["metadata"])
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        OWNER_LABEL: project_id,
    }
    return {**manifest, "metadata": metadata}
