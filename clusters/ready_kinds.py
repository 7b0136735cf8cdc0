"""When an object of a built-in kind is ready, as kstatus defines it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from stepway.clusters.status import WAITING, Readiness, Status, failed, mapping, text, waiting


def _always(_: Status) -> Readiness:
    return Readiness(ready=True)


def _namespace(status: Status) -> Readiness:
    phase = text(status.fields, "phase")
    return Readiness(phase in ("", "Active"), message=phase)


def _deployment(status: Status) -> Readiness:
    if status.reason("Progressing") == "ProgressDeadlineExceeded":
        return failed(status.message("Progressing"))
    wanted, updated = status.wanted("replicas", 1), status.count("updatedReplicas")
    ready = min(updated, status.count("readyReplicas"))
    # The replicas of an older generation may be available, but they do not count.
    is_whole = (
        ready >= wanted
        and status.count("replicas") <= updated
        and status.count("availableReplicas") >= updated
    )
    has_deadline = "progressDeadlineSeconds" in status.spec
    is_done = status.has("Available") and (
        not has_deadline or status.reason("Progressing") == "NewReplicaSetAvailable"
    )
    return _replicas(status, ready, wanted, is_ready=is_whole and is_done)


def _stateful_set(status: Status) -> Readiness:
    strategy = mapping(status.spec, "updateStrategy")
    if text(strategy, "type") == "OnDelete":  # a person or program replaces the pods
        return Readiness(ready=status.is_observed, message="" if status.is_observed else WAITING)
    wanted, ready = status.wanted("replicas", 1), status.count("readyReplicas")
    is_whole = ready >= wanted and status.count("replicas") == wanted
    partition = mapping(strategy, "rollingUpdate").get("partition")
    if isinstance(partition, int) and partition:
        is_updated = status.count("updatedReplicas") >= wanted - partition
    else:
        names = ("currentRevision", "updateRevision")
        is_updated = len({text(status.fields, name) for name in names}) == 1
    return _replicas(status, ready, wanted, is_ready=is_whole and is_updated)


def _replica_set(status: Status) -> Readiness:
    wanted, ready = status.wanted("replicas", 1), status.count("readyReplicas")
    is_whole = (
        min(ready, status.count("availableReplicas"), status.count("fullyLabeledReplicas"))
        >= wanted
        and status.count("replicas") <= wanted
        and not status.has("ReplicaFailure")
    )
    return _replicas(status, ready, wanted, is_ready=is_whole)


def _daemon_set(status: Status) -> Readiness:
    wanted = status.count("desiredNumberScheduled", -1)
    if wanted < 0:
        return waiting(WAITING)
    names = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    ready = min(status.count(name) for name in names)
    return _replicas(status, ready, wanted, is_ready=ready >= wanted)


def _replicas(status: Status, ready: int, wanted: int, *, is_ready: bool) -> Readiness:
    if not status.is_observed:
        return waiting(WAITING)
    told = f"{ready} of {wanted} replicas are ready"
    said = status.message("ReplicaFailure") or status.message("Available")
    return Readiness(is_ready, message=told if is_ready or not said else f"{told} ({said})")


def _job(status: Status) -> Readiness:
    if status.has("Failed"):
        return failed(status.message("Failed"))
    if status.has("Complete"):
        return Readiness(ready=True, message=status.message("Complete"))
    if status.has("Suspended") and status.spec.get("suspend") is True:
        return Readiness(ready=True, message=status.message("Suspended"))
    return waiting("it runs" if status.fields.get("startTime") else WAITING)


def _pod(status: Status) -> Readiness:
    phase = text(status.fields, "phase")
    if phase == "Failed":
        said = (text(status.fields, name) for name in ("reason", "message"))
        return failed(": ".join(filter(None, (phase, *said))))
    if looping := _crash_looping(status):
        return failed(f"CrashLoopBackOff: {', '.join(looping)}")
    is_ready = phase == "Succeeded" or (phase == "Running" and status.has("Ready"))
    said_last = status.message("Ready") or status.message("PodScheduled")
    return Readiness(is_ready, message=phase if is_ready else said_last or phase or WAITING)


def _crash_looping(status: Status) -> list[str]:
    entries = status.fields.get("containerStatuses")
    found = entries if isinstance(entries, list) else []
    return [
        text(entry, "name")
        for entry in found
        if isinstance(entry, dict)
        and text(mapping(mapping(entry, "state"), "waiting"), "reason") == "CrashLoopBackOff"
    ]


def _claim(status: Status) -> Readiness:
    phase = text(status.fields, "phase")
    return Readiness(phase == "Bound", message=phase or WAITING)


def _service(status: Status) -> Readiness:
    needs_address = text(status.spec, "type") == "LoadBalancer"
    is_ready = bool(text(status.spec, "clusterIP")) or not needs_address
    return Readiness(is_ready, message="" if is_ready else "it has no cluster IP")


def _budget(status: Status) -> Readiness:
    return Readiness(status.is_observed, message="" if status.is_observed else WAITING)


def _definition(status: Status) -> Readiness:
    if status.has("NamesAccepted", "False"):
        return failed(status.message("NamesAccepted"))
    if status.has("Established", "False") and status.reason("Established") != "Installing":
        return failed(status.message("Established"))
    return Readiness(status.has("Established"), message=status.message("Established") or WAITING)


def _api_service(status: Status) -> Readiness:
    return Readiness(status.has("Available"), message=status.message("Available") or WAITING)


KINDS: dict[tuple[str, str], Callable[[Status], Readiness]] = {
    ("", "ConfigMap"): _always,
    ("", "Namespace"): _namespace,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "ReplicationController"): _replica_set,
    ("", "Secret"): _always,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "CronJob"): _always,
    ("batch", "Job"): _job,
    ("policy", "PodDisruptionBudget"): _budget,
}
"""The rule of each kind, by group and kind."""
