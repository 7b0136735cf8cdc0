"""wait_for_ready: waits until objects in a cluster are ready, and shows what they say meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import activity

from stepway.activities.beats import Beats, beating
from stepway.activities.cluster.access import OpenCluster
from stepway.activities.cluster.applied import ref_of_applied
from stepway.activities.project import ProjectRef
from stepway.clusters.cluster import Cluster
from stepway.clusters.errors import ClusterError
from stepway.clusters.readiness import readiness
from stepway.clusters.ref import Ref
from stepway.clusters.status import Readiness
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, Skipped

POLL = 2.0
"""Seconds between two looks at the cluster."""

_SHOWN = 3


@dataclass(frozen=True)
class WaitForReadyInput:
    """`objects` is the field of that name in the result of the step that applied them.

    `within` is in seconds; give the step a `timeout` that is a little longer.
    """

    project: ProjectRef
    cluster: str
    objects: list[dict[str, Any]]
    within: float = 540.0


@dataclass(frozen=True)
class ReadyObjects:
    """The message of each object, by `KIND NAMESPACE/NAME`."""

    ready: dict[str, str]


class WaitingSteps:
    """Watches objects in clusters."""

    def __init__(self, open_cluster: OpenCluster) -> None:
        self._open = open_cluster

    @activity.defn
    async def wait_for_ready(self, given: WaitForReadyInput) -> ReadyObjects | Skipped:
        """Wait until the newest generation of each object is ready.

        Raises step_error with the object's own message if one cannot become ready, or is not ready
        in time.
        """
        refs = [ref_of_applied(entry) for entry in given.objects]
        if not refs:
            return Skipped("There are no objects to wait for")
        async with beating() as beats, self._open(given.cluster, given.project) as cluster:
            return ReadyObjects(await _wait(cluster, refs, given.within, beats))


async def _wait(
    cluster: Cluster, refs: Sequence[Ref], within: float, beats: Beats
) -> dict[str, str]:
    end = time.monotonic() + within
    while True:
        states = await _look(cluster, refs)
        waiting = {ref: state for ref, state in states.items() if not state.ready}
        if not waiting:
            return {str(ref): state.message for ref, state in states.items()}
        if failed := {ref: state for ref, state in waiting.items() if state.failed}:
            raise _not_ready(failed, "cannot become ready")
        if time.monotonic() > end:
            raise _not_ready(waiting, f"is not ready after {within:.0f} s")
        ready = len(states) - len(waiting)
        beats.say(Progress(100 * ready // len(states), _told(waiting)))
        await asyncio.sleep(POLL)


async def _look(cluster: Cluster, refs: Sequence[Ref]) -> dict[Ref, Readiness]:
    """Return the states. A cluster that does not answer for a moment is no failure."""
    try:
        return {ref: _state(ref, await cluster.read(ref)) for ref in refs}
    except ClusterError as error:
        if not error.later:
            raise
        return {ref: Readiness(ready=False, message=error.message) for ref in refs}


def _state(ref: Ref, found: dict[str, Any] | None) -> Readiness:
    if found is None:
        return Readiness(ready=False, failed=True, message="it is gone")
    if ref.uid and found["metadata"]["uid"] != ref.uid:
        return Readiness(ready=False, failed=True, message="it was deleted and created again")
    return readiness(found)


def _not_ready(states: dict[Ref, Readiness], why: str) -> Exception:
    return step_error(
        _told(states, f" {why}"),
        remedy="Correct the cause in the cluster or the repository, then retry.",
        retry=False,
        details={str(ref): state.message for ref, state in states.items()},
    )


def _told(states: dict[Ref, Readiness], what: str = "") -> str:
    told = [f"{ref}{what}: {state.message}" for ref, state in list(states.items())[:_SHOWN]]
    more = len(states) - len(told)
    return "; ".join(told) + (f"; {more} more" if more else "")
