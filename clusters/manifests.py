"""Checks of manifests before anything is sent: their parts become paths and labels. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stepway.clusters.errors import ClusterError
from stepway.clusters.ref import Ref

Manifest = dict[str, Any]

LARGEST = 3 << 20
"""Characters of a manifest as JSON; a cluster takes about half of it."""

_API_VERSION = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[a-z0-9]+")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_NAME = re.compile(r"(?!\.{1,2}\Z)[^/%?#\s\x00-\x1f\x7f]+")
_LONGEST = 253


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """Raise ClusterError unless the manifest describes one object."""
    ref = ref_of(manifest)
    if ref.kind.endswith("List") and isinstance(manifest.get("items"), list):
        raise _wrong(f"the manifest {ref} is a list of objects; write each of them by itself")
    metadata = manifest["metadata"]
    for name in ("labels", "annotations"):
        entries = metadata.get(name)
        if entries is not None and not _are_texts(entries):
            raise _wrong(f"`metadata.{name}` of {ref} must have texts as names and values")
    _check_json(ref, manifest)


def ref_of(manifest: Mapping[str, Any]) -> Ref:
    """Return what a manifest describes. Raises ClusterError if it is none."""
    metadata = manifest.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise _wrong("`metadata` of a manifest is not an object")
    given = metadata or {}
    found = {
        "apiVersion": manifest.get("apiVersion"),
        "kind": manifest.get("kind"),
        "metadata.name": given.get("name"),
        "metadata.namespace": given.get("namespace") or "",
        "metadata.uid": given.get("uid") or "",
    }
    for name, pattern in _PATTERNS.items():
        if name in _NEEDED and found[name] in (None, ""):
            raise _wrong(f"A manifest has no `{name}`")
        if found[name] != "" and not _fits(found[name], pattern):
            shown = f"{found[name]!r}"[:_LONGEST]
            raise _wrong(f"`{name}` of a manifest is not valid: {shown}")
    return Ref(*map(str, found.values()))


_NEEDED = ("apiVersion", "kind", "metadata.name")
_PATTERNS = {
    "apiVersion": _API_VERSION,
    "kind": _KIND,
    "metadata.name": _NAME,
    "metadata.namespace": _NAMESPACE,
    "metadata.uid": _NAME,
}


def _fits(value: Any, pattern: re.Pattern[str]) -> bool:
    return (
        isinstance(value, str) and len(value) <= _LONGEST and pattern.fullmatch(value) is not None
    )


def _are_texts(entries: Any) -> bool:
    return isinstance(entries, Mapping) and all(
        isinstance(part, str) for entry in entries.items() for part in entry
    )


def _check_json(ref: Ref, manifest: Mapping[str, Any]) -> None:
    """Refuse values that YAML has and JSON does not, and texts whose aliases grow without end."""
    size = 0
    try:
        for part in json.JSONEncoder(allow_nan=False).iterencode(manifest):
            size += len(part)
            if size > LARGEST:
                raise _wrong(f"the manifest {ref} has more than {LARGEST >> 20} MB")
    except (TypeError, ValueError, RecursionError):
        raise _wrong(
            f"the manifest {ref} has a value that is not JSON, such as a date; put it in quotes"
        ) from None


def _wrong(what: str) -> ClusterError:
    return ClusterError(f"{what[0].upper()}{what[1:]}", remedy="Correct the manifest.")
