"""The kinds of objects that a cluster has, from its own lists of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from stepway.clusters.connection import Connection
from stepway.clusters.errors import ClusterError, KindMissing
from stepway.clusters.ref import Ref

_MISSING = {
    "source.toolkit.fluxcd.io": "Install Flux in the cluster, then retry.",
    "kustomize.toolkit.fluxcd.io": "Install Flux in the cluster, then retry.",
}


@dataclass(frozen=True)
class Kind:
    """A kind of objects: `plural` is its name in paths. `verbs` are what its API can do."""

    api_version: str
    name: str
    plural: str
    is_namespaced: bool
    verbs: frozenset[str] = frozenset()

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of an object, or of all of them; `namespace` is "" for no namespace."""
        place = ["namespaces", namespace] if self.is_namespaced and namespace else []
        parts = [*place, self.plural, *([name] if name else [])]
        return "/".join([api_path(self.api_version), *(quote(part, safe="") for part in parts)])


def api_path(api_version: str) -> str:
    """Return the path of a group and version, such as `apps/v1`; of the core API for `v1`."""
    root = "apis" if "/" in api_version else "api"
    return f"{root}/{quote(api_version)}"


async def kind_of(connection: Connection, ref: Ref) -> Kind:
    """Return the kind of an object. Raises KindMissing, and ClusterError."""
    try:
        listed = await kinds(connection, ref.api_version)
    except ClusterError as error:
        if error.status != 404:
            raise
        listed = []
    found = next((kind for kind in listed if kind.name == ref.kind), None)
    if found is None:
        group = ref.api_version.rpartition("/")[0]
        raise KindMissing(
            f"The cluster has no {ref.kind} ({ref.api_version})",
            remedy=_MISSING.get(group, f"Install what defines {ref.kind} in the cluster."),
            later=group in _MISSING,
        )
    return found


async def kinds(connection: Connection, api_version: str) -> list[Kind]:
    """Return the kinds of a group and version. Raises ClusterError."""
    answer = await connection.send("GET", api_path(api_version))
    entries = answer.get("resources")
    if not isinstance(entries, list):
        connection.refuse_answer()
    found = [_kind(api_version, entry) for entry in entries]
    if None in found:
        connection.refuse_answer()
    # Those with a slash are parts of objects, such as `deployments/scale`.
    return [kind for kind in found if kind is not None and "/" not in kind.plural]


def _kind(api_version: str, entry: Any) -> Kind | None:
    given = entry if isinstance(entry, dict) else {}
    name, plural, namespaced = (given.get(key) for key in ("kind", "name", "namespaced"))
    verbs = given.get("verbs")
    if not isinstance(name, str) or not isinstance(plural, str) or not isinstance(namespaced, bool):
        return None
    listed = verbs if isinstance(verbs, list) else ()
    return Kind(api_version, name, plural, namespaced, frozenset(map(str, listed)))
