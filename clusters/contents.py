"""What a namespace contains that its deletion would take from others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from stepway.clusters.connection import Connection
from stepway.clusters.errors import ClusterError
from stepway.clusters.kinds import Kind, kinds
from stepway.clusters.status import mapping, text

# The names of objects are enough: no values of Secrets are read.
_NAMES = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_PAGE = "500"
_DEFAULT = "default"
_ACCOUNT = "kubernetes.io/service-account.name"

_MADE = frozenset(
    {
        ("", "endpoints"),
        ("", "events"),
        ("coordination.k8s.io", "leases"),
        ("discovery.k8s.io", "endpointslices"),
        ("events.k8s.io", "events"),
    }
)
"""Resources of which controllers make all objects."""

_MEASURED = frozenset({"metrics.k8s.io", "custom.metrics.k8s.io"})
"""Groups whose objects are measurements of others."""

_AUTHORITIES = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})


async def others_in(
    connection: Connection, namespace: str, owner_label: tuple[str, str]
) -> list[str]:
    """Return the objects in a namespace that have not this label, as `KIND NAME`.

    Without what controllers make in each namespace or for other objects, and without what is being
    deleted. Raises ClusterError, also if the account may not list a kind.
    """
    found: list[str] = []
    async for kind in _listed_kinds(connection):
        async for item in _items(connection, kind, namespace):
            metadata = mapping(item, "metadata")
            label, value = owner_label
            if mapping(metadata, "labels").get(label) != value and not _is_made(kind, metadata):
                found.append(f"{kind.name} {text(metadata, 'name')}")
    return found


async def _listed_kinds(connection: Connection) -> AsyncIterator[Kind]:
    """Yield each kind of objects in namespaces once, in the version that the cluster prefers."""
    seen: set[tuple[str, str]] = set()
    for api_version in ["v1", *await _versions(connection)]:
        group = _group(api_version)
        if group in _MEASURED:
            continue
        for kind in await kinds(connection, api_version):
            key = (group, kind.plural)
            if kind.is_namespaced and "list" in kind.verbs and not {key} & (seen | _MADE):
                seen.add(key)
                yield kind


async def _versions(connection: Connection) -> list[str]:
    """Return the groups with their versions, of each group the preferred version first."""
    groups = (await connection.send("GET", "apis")).get("groups")
    if not isinstance(groups, list):
        connection.refuse_answer()
    found: list[str] = []
    for group in groups:
        given = group if isinstance(group, dict) else {}
        versions = given.get("versions")
        if not isinstance(versions, list) or not versions:
            connection.refuse_answer()
        entries = [given.get("preferredVersion"), *versions]
        found += [text(entry, "groupVersion") for entry in entries if isinstance(entry, dict)]
    return list(dict.fromkeys(filter(None, found)))


async def _items(
    connection: Connection, kind: Kind, namespace: str
) -> AsyncIterator[Mapping[str, Any]]:
    following = ""
    while True:
        params = {"limit": _PAGE} | ({"continue": following} if following else {})
        try:
            answer = await connection.send(
                "GET",
                kind.path(namespace),
                about=f"the list of {kind.plural} in {namespace}",
                accept=_NAMES,
                params=params,
            )
        except ClusterError as error:
            if error.status in (404, 405):  # the kind was removed meanwhile, or has no lists
                return
            raise
        items = answer.get("items", "")
        if items is not None and not isinstance(items, list):
            connection.refuse_answer()
        for item in items or ():  # Kubernetes writes null for no objects
            yield item if isinstance(item, dict) else {}
        following = text(mapping(answer, "metadata"), "continue")
        if not following:
            return


def _is_made(kind: Kind, metadata: Mapping[str, Any]) -> bool:
    """Whether a controller has made the object, or deletes it already."""
    if metadata.get("ownerReferences") or metadata.get("deletionTimestamp"):
        return True
    name, annotations = text(metadata, "name"), mapping(metadata, "annotations")
    return _group(kind.api_version) == "" and (
        (kind.plural == "serviceaccounts" and name == _DEFAULT)
        or (kind.plural == "configmaps" and name in _AUTHORITIES)
        or (kind.plural == "secrets" and annotations.get(_ACCOUNT) == _DEFAULT)
    )


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]
