"""Whether an object is ready, by the rules of kstatus. Pure.

Where kstatus takes a Job that runs as ready, and a Pod that failed, the rules here wait for a Job's
end and report the Pod's failure: the next step builds on what the Job has done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepway.clusters.ready_kinds import KINDS
from stepway.clusters.status import WAITING, Readiness, Status, failed, status_of, waiting

_FAILED = ("Stalled", "Failed")
_READY = ("Ready", "Available")
_FLUX = ".toolkit.fluxcd.io"
_SUSPENDED = "it is suspended"


def readiness(found: Mapping[str, Any]) -> Readiness:
    """Return whether the newest generation of an object is ready.

    A kind without rules of its own is ready once its condition Ready is true; without this
    condition, once it exists and its controller has no older generation in its status.
    """
    status = status_of(found)
    if status.metadata.get("deletionTimestamp"):
        return failed("it is being deleted")
    if _is_static(status):
        return Readiness(ready=True)
    if not status.is_seen or (status.group.endswith(_FLUX) and not status.conditions):
        return waiting(_SUSPENDED if status.spec.get("suspend") is True else WAITING)
    if status.has("Stalled"):
        return failed(status.message("Stalled"))
    if status.has("Reconciling"):
        return waiting(status.message("Reconciling"))
    if (rule := KINDS.get((status.group, status.kind))) is not None:
        return rule(status)
    return _by_conditions(status)


def _is_static(status: Status) -> bool:
    """Whether it is an object of Flux on which no controller reports."""
    if status.group == f"notification{_FLUX}":
        return not status.fields
    is_repository = (status.group, status.kind) == (f"source{_FLUX}", "HelmRepository")
    return is_repository and status.spec.get("type") == "oci"


def _by_conditions(status: Status) -> Readiness:
    for name in _FAILED:
        if status.has(name):
            return failed(status.message(name))
    for name in _READY:
        if name in status.conditions:
            return Readiness(status.has(name), message=status.message(name))
    return Readiness(ready=True)
