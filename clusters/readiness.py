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
        return Readiness(ready=False, message="waiting for its controller")
    if _is(conditions, "Stalled"):
        return Readiness(ready=False, failed=True, message=_message(conditions["Stalled"]))
    for name in ("Ready", "Available"):
        if name in conditions:
            return Readiness(_is(conditions, name), message=_message(conditions[name]))
    return Readiness(ready=False, message="waiting for its controller")


def _reconciles(found: Mapping[str, Any]) -> bool:
    """Whether a controller reports on objects of this kind."""
    group = str(found.get("apiVersion", "")).partition("/")[0]
    return group.endswith("fluxcd.io") or group == "apps"


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
