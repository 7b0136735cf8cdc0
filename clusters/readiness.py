"""Whether an object is ready, as kstatus defines it for objects with conditions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Readiness:
    """`message` is the object's own; `failed`: it does not become ready without a change."""

    ready: bool
    failed: bool = False
    message: str = ""


def readiness(found: Mapping[str, Any]) -> Readiness:
    """Return whether the newest generation of an object is ready.

    Objects without conditions, such as a ConfigMap, are ready once they exist.
    """
    metadata, status = found["metadata"], found.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return Readiness(ready=False, failed=True, message="it is being deleted")
    if found.get("kind") == "Namespace":
        phase = status.get("phase", "")
        return Readiness(ready=phase in ("", "Active"), message=phase)
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    if not conditions and not _reconciles(found):
        return Readiness(ready=True)
    if not _is_seen(metadata, status, conditions):
        return Readiness(ready=False, message=_WAITING)
    for name in _FAILED:
        if _is(conditions, name):
            return Readiness(ready=False, failed=True, message=_message(conditions[name]))
    if found.get("kind") in _REPLICATED:
        return _replicas(found, status, conditions)
    for name in _READY:
        if name in conditions:
            return Readiness(_is(conditions, name), message=_message(conditions[name]))
    return Readiness(ready=False, message=_WAITING)


_WAITING = "waiting for its controller"
_FAILED = ("Stalled", "Failed")
_READY = ("Ready", "Available", "Complete", "Established")
_REPLICATED = ("Deployment", "StatefulSet")


def _replicas(
    found: Mapping[str, Any], status: Mapping[str, Any], conditions: Mapping[str, Any]
) -> Readiness:
    """The replicas of an older generation may be available, but they do not count."""
    wanted = int(found.get("spec", {}).get("replicas", 1))
    updated = int(status.get("updatedReplicas", 0))
    ready = min(updated, int(status.get("readyReplicas", 0)))
    is_whole = ready >= wanted and int(status.get("replicas", 0)) <= updated
    said = _message(conditions.get("Available") or {})
    told = f"{ready} of {wanted} replicas are ready"
    return Readiness(is_whole, message=told if is_whole or not said else f"{told} ({said})")


def _reconciles(found: Mapping[str, Any]) -> bool:
    """Whether a controller reports on objects of this kind."""
    group = str(found.get("apiVersion", "")).partition("/")[0]
    return group.endswith("fluxcd.io") or group in ("apps", "batch", "apiextensions.k8s.io")


def _is_seen(
    metadata: Mapping[str, Any], status: Mapping[str, Any], conditions: Mapping[str, Any]
) -> bool:
    """Whether the status is about the newest generation."""
    generation = metadata.get("generation")
    seen = status.get("observedGeneration")
    if seen is None:
        ready = conditions.get("Ready") or {}
        seen = ready.get("observedGeneration", generation)
    return seen is None or generation is None or int(seen) >= int(generation)


def _is(conditions: Mapping[str, Any], name: str) -> bool:
    return bool(conditions.get(name, {}).get("status") == "True")


def _message(condition: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
