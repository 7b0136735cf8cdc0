"""A Kubernetes cluster as one account: server-side apply, reading, and deletion of what is ours."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from lightkube import AsyncClient
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import (
    GenericGlobalResource,
    GenericNamespacedResource,
    create_api_info,
)
from lightkube.resources.authentication_v1 import SelfSubjectReview
from lightkube.types import CascadeType

from stepway.clusters.errors import ClusterError, KindMissing, NotOurs
from stepway.clusters.kubeconfig import configuration
from stepway.net.answers import ENCODING, AnswerRefused, bounded

FIELD_MANAGER = "stepway"
OWNER_LABEL = "stepway/project"
"""The label with the ID of the project that an object belongs to."""

TERMINATING = 10.0
"""Seconds until the next look at an object that is being deleted."""

TIMEOUT = httpx2.Timeout(20.0, connect=10.0)
_ANONYMOUS = "system:anonymous"
_LATER = frozenset({408, 409, 429, 500, 502, 503, 504})

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Ref:
    """One object in a cluster. `namespace` is empty for objects of the whole cluster."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


@dataclass(frozen=True)
class Applied:
    """An applied object; `created`: whether there was none before. `generation` is its newest."""

    ref: Ref
    created: bool
    generation: int


def ref_of(manifest: Mapping[str, Any]) -> Ref:
    """Return what a manifest describes. Raises ClusterError if it is none."""
    metadata = manifest.get("metadata") or {}
    found = {
        "apiVersion": manifest.get("apiVersion"),
        "kind": manifest.get("kind"),
        "metadata.name": metadata.get("name") if isinstance(metadata, Mapping) else None,
    }
    for name, value in found.items():
        if not isinstance(value, str) or not value:
            raise ClusterError(f"A manifest has no `{name}`", remedy="Correct the manifest.")
    return Ref(
        str(found["apiVersion"]),
        str(found["kind"]),
        str(found["metadata.name"]),
        metadata.get("namespace") or "",
        metadata.get("uid") or "",
    )


@asynccontextmanager
async def open_cluster(kubeconfig: str | None) -> AsyncIterator[Cluster]:
    """Open the cluster of a kubeconfig; of the worker's own pod for None. Raises ClusterError."""
    config = configuration(kubeconfig)
    try:
        client = AsyncClient(config, field_manager=FIELD_MANAGER, timeout=TIMEOUT)
        parameters = client_adapter.ConnectionParams(timeout=TIMEOUT)
        discovery = client_adapter.AsyncClient(config, parameters)
        for each in (client._client._client, discovery):
            each.headers.update(ENCODING)
            each.event_hooks = {"response": [bounded]}
    except (ssl.SSLError, ValueError, OSError) as error:
        raise ClusterError(
            "The certificate or key in the kubeconfig cannot be used",
            remedy="Store a valid kubeconfig as the credential.",
        ) from error
    try:
        yield Cluster(config, client, discovery)
    finally:
        await client.close()
        await discovery.aclose()


@dataclass
class Cluster:
    """Requests to one cluster. All methods raise ClusterError and are bounded in time."""

    _config: SingleConfig
    _client: Any
    _discovery: httpx2.AsyncClient
    _kinds: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """The address of the API server, for people."""
        return str(self._config.cluster.server)

    async def account(self) -> str:
        """Return the account's name in the cluster; "" if the cluster does not tell it.

        Kubernetes before 1.28 does not, and one that does not let the account ask.
        """
        async with self._errors(None):
            try:
                review = await self._client.create(SelfSubjectReview())
            except ApiError as error:
                if error.response.status_code not in (403, 404) or _ANONYMOUS in str(error):
                    raise
                await self._raw("api")
                return ""
        return str(review.status.userInfo.username)

    async def apply(
        self, manifest: Manifest, project_id: str, namespace: str | None = None
    ) -> Applied:
        """Apply a manifest with the project's label; by default, to this namespace.

        Refuses an object that exists and is not the project's, or is being deleted, and a field
        that another manager owns.
        """
        kind = await self._kind(ref_of(manifest))
        manifest = _placed(manifest, kind, namespace)
        ref = ref_of(manifest)
        before = await self.read(ref)
        if before is not None:
            _refuse_terminating(ref, before)
            if (owner := foreign_owner(before, project_id)) is not None:
                raise ClusterError(
                    f"{ref} exists in the cluster and was not created by this project: {owner}",
                    remedy="Choose another name, or delete the object if it is no longer needed.",
                )
        body = _labelled(manifest, project_id)
        with_namespace = {"namespace": ref.namespace} if ref.namespace else {}
        async with self._errors(ref):
            after = await self._client.apply(kind.from_dict(body), ref.name, **with_namespace)
        metadata = dict(after)["metadata"]
        return Applied(
            Ref(ref.api_version, ref.kind, ref.name, ref.namespace, metadata["uid"]),
            created=before is None,
            generation=int(metadata.get("generation", 0)),
        )

    async def read(self, ref: Ref) -> Manifest | None:
        """Return an object; None if there is none."""
        kind = await self._kind(ref)
        with_namespace = {"namespace": ref.namespace} if ref.namespace else {}
        try:
            async with self._errors(ref):
                found = await self._client.get(kind, ref.name, **with_namespace)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise
        return dict(found)

    async def delete(self, ref: Ref, project_id: str) -> bool:
        """Start the deletion of an object, and of what it owns; False if it is gone.

        Raises NotOurs for an object that is not the project's, or was created again
        since.
        """
        try:
            found = await self.read(ref)
        except KindMissing:  # its objects went with it
            found = None
        if found is None:
            return False
        owner = foreign_owner(found, project_id)
        if owner is None and ref.uid and found["metadata"]["uid"] != ref.uid:
            owner = "it was deleted and created again in the meantime"
        if owner is not None:
            raise NotOurs(
                f"{ref} was kept: it does not belong to this project: {owner}",
                remedy="Check it, and remove it manually if it is no longer needed.",
            )
        if found["metadata"].get("deletionTimestamp"):
            return True
        kind = await self._kind(ref)
        with_namespace = {"namespace": ref.namespace} if ref.namespace else {}
        async with self._errors(ref):
            await self._client.delete(
                kind, ref.name, cascade=CascadeType.BACKGROUND, **with_namespace
            )
        return True

    async def _kind(self, ref: Ref) -> Any:
        """Return lightkube's class for the kind, from the cluster's own list of kinds."""
        known = self._kinds.get((ref.api_version, ref.kind))
        if known is not None:
            return known
        group, _, version = ref.api_version.rpartition("/")
        path = f"apis/{ref.api_version}" if group else f"api/{version}"
        try:
            listed = (await self._raw(path))["resources"]
        except ClusterError as error:
            if error.status != 404:
                raise
            listed = []
        entry = next((e for e in listed if e["kind"] == ref.kind and "/" not in e["name"]), None)
        if entry is None:
            raise KindMissing(
                f"The cluster has no {ref.kind} ({ref.api_version})",
                remedy=_MISSING.get(group, f"Install what defines {ref.kind} in the cluster."),
                later=group in _MISSING,
            )
        base = GenericNamespacedResource if entry["namespaced"] else GenericGlobalResource
        info = create_api_info(group, version, ref.kind, entry["name"])
        kind = type(ref.kind, (base,), {"_api_info": info})
        self._kinds[ref.api_version, ref.kind] = kind
        return kind

    async def _raw(self, path: str) -> Any:
        async with self._errors(None):
            response = await self._discovery.get(f"/{path}")
            response.raise_for_status()
            return response.json()

    @asynccontextmanager
    async def _errors(self, ref: Ref | None) -> AsyncIterator[None]:
        try:
            yield
        except httpx2.HTTPStatusError as error:
            raise self._refused(error, ref) from error
        except httpx2.TimeoutException as error:
            raise ClusterError(
                f"The cluster {self.server} did not answer within {TIMEOUT.read:.0f} s",
                remedy="Retry when the cluster answers again.",
                later=True,
            ) from error
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        except (json.JSONDecodeError, AnswerRefused) as error:
            raise ClusterError(
                f"{self.server} does not answer as a Kubernetes API",
                remedy="Check the server's address in the kubeconfig.",
                later=True,
            ) from error

    def _unreachable(self, error: httpx2.TransportError) -> ClusterError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return ClusterError(
                f"The certificate of the cluster {self.server} is not trusted",
                remedy="Store a kubeconfig with the cluster's authority as the credential.",
            )
        return ClusterError(
            f"The cluster {self.server} cannot be reached: {str(error) or type(error).__name__}",
            remedy="Check the address in the kubeconfig and the network of the worker, then retry.",
            later=True,
        )

    def _refused(self, error: httpx2.HTTPStatusError, ref: Ref | None) -> ClusterError:
        status = error.response.status_code
        said = _said(error)
        wait = error.response.headers.get("retry-after", "")
        asked = float(wait) if wait.isdecimal() else None
        what = f" for {ref}" if ref else ""
        return ClusterError(
            f"The cluster answered {status}{what}{': ' + said if said else ''}",
            remedy=_remedy(status, said),
            later=_is_terminating(said) or (status in _LATER and not _is_conflict(said)),
            status=status,
            retry_after=TERMINATING if _is_terminating(said) else asked,
        )


_MISSING = {
    "source.toolkit.fluxcd.io": "Install Flux in the cluster, then retry.",
    "kustomize.toolkit.fluxcd.io": "Install Flux in the cluster, then retry.",
}


def foreign_owner(found: Mapping[str, Any], project_id: str) -> str | None:
    """Return who has an object, for people; None if it is the project's.

    A copy of the project's label is not enough: Stepway must be a manager of the object.
    """
    metadata = found["metadata"]
    owner = (metadata.get("labels") or {}).get(OWNER_LABEL)
    entries = metadata.get("managedFields") or ()
    managers = list(dict.fromkeys(entry.get("manager", "") for entry in entries))
    if owner == project_id and FIELD_MANAGER in managers:
        return None
    if owner and owner != project_id:
        return f"it belongs to the project {owner}"
    others = ", ".join(filter(None, managers))
    return f"it is managed by {others}" if others else f"it has no label {OWNER_LABEL}"


def waiting_deletion(found: Mapping[str, Any]) -> str:
    """Return what the deletion of an object waits for, in Kubernetes' own words."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    said = [
        entry.get("message", "")
        for entry in conditions
        if found.get("kind") == "Namespace" and entry.get("status") == "True"
    ]
    finalizers = found["metadata"].get("finalizers") or ()
    if finalizers:
        said.append(f"its finalizers {', '.join(finalizers)} have not finished")
    return "; ".join(filter(None, said)) or "it is still being deleted"


def _refuse_terminating(ref: Ref, found: Manifest) -> None:
    if found["metadata"].get("deletionTimestamp"):
        raise ClusterError(
            f"{ref} is being deleted ({waiting_deletion(found)})",
            remedy=f"Wait until the {ref.kind} is gone: the step is tried again.",
            later=True,
            retry_after=TERMINATING,
        )


def _placed(manifest: Manifest, kind: Any, namespace: str | None) -> Manifest:
    """Return the manifest in its namespace or this one; objects of the whole cluster in none."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "namespace"}
    if issubclass(kind, GenericNamespacedResource):
        found = manifest["metadata"].get("namespace") or namespace
        metadata |= {"namespace": found} if found else {}
    return {**manifest, "metadata": metadata}


def _labelled(manifest: Manifest, project_id: str) -> Manifest:
    metadata = dict(manifest["metadata"])
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        OWNER_LABEL: project_id,
    }
    return {**manifest, "metadata": metadata}


def _said(error: httpx2.HTTPStatusError) -> str:
    if isinstance(error, ApiError):
        return str(error.status.message or error.status.reason or "")
    try:
        return str(error.response.json().get("message", ""))
    except (ValueError, AttributeError, httpx2.ResponseNotRead):
        return ""


def _remedy(status: int, said: str) -> str:
    if status == 401:
        return (
            "The token or client certificate is wrong or has expired. Store a kubeconfig with a "
            "valid one as the credential, then retry."
        )
    if _is_terminating(said):
        return "Wait until the namespace is gone: the step is tried again."
    if "admission webhook" in said:
        return "Change what the cluster's policy refuses, or the policy, then retry."
    if status == 403:
        return "Give the account of the kubeconfig this right in the cluster, then retry."
    if _is_conflict(said):
        return "Let only one of them manage the field, then retry."
    return "Correct the manifest, then retry." if status in (400, 422) else "Retry later."


def _is_conflict(said: str) -> bool:
    return "conflict with" in said or "conflicts with" in said


def _is_terminating(said: str) -> bool:
    return "being terminated" in said
