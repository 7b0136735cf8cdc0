"""Deletes the objects of a project in a cluster: goes on after a refusal, and says what is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio.exceptions import ApplicationError

from stepway.activities.beats import Beats
from stepway.activities.cluster.applied import ref_of_applied
from stepway.clusters.cluster import Cluster, waiting_deletion
from stepway.clusters.errors import ClusterError, HasOthers, KindMissing, NotOurs
from stepway.clusters.manifests import Manifest
from stepway.clusters.ref import Ref
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress

GONE_WITHIN = 20.0
"""Seconds to wait until deleted objects are gone; then their finalizers are named."""

POLL = 0.5
"""Seconds between two looks at them."""


@dataclass(frozen=True)
class Left:
    """Something that a rollback could not remove. `again`: whether another try may remove it."""

    what: str
    why: str
    remedy: str = ""
    again: bool = True


@dataclass
class Removal:
    """What a rollback has removed, and what it had to leave."""

    removed: list[str] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    _errors: list[ApplicationError] = field(default_factory=list)

    def add(self, more: Removal) -> None:
        """Add what another one has removed and left."""
        self.removed += more.removed
        self.left += more.left

    @contextmanager
    def going_on(self, what: str) -> Iterator[None]:
        """Go on after an error of the block: `what` is left."""
        try:
            yield
        except ApplicationError as error:
            given = error.details[0] if error.details else {}
            remedy = given.get("remedy", "")
            self.left.append(Left(what, error.message, remedy, again=not error.non_retryable))
            self._errors.append(error)

    def or_raise(self) -> list[str]:
        """Return what was removed. Raises step_error if anything is left."""
        if not self.left:
            return self.removed
        if len(self.left) == len(self._errors) == 1:
            # It may have asked to wait.
            raise self._errors[0]
        remedies = dict.fromkeys(entry.remedy for entry in self.left if entry.remedy)
        raise step_error(
            "Not everything was removed. "
            + "; ".join(f"{entry.what}: {entry.why}" for entry in self.left)
            + ".",
            remedy=" ".join(remedies),
            retry=any(entry.again for entry in self.left),
            details={entry.what: entry.why for entry in self.left},
        )


async def delete_all(
    cluster: Cluster, objects: Sequence[dict[str, Any]], project_id: str, beats: Beats
) -> Removal:
    """Delete objects from results of `apply_all`, the last one first, namespaces at the end.

    A namespace is kept if something in it is left: it would be deleted with it. Raises
    ClusterError if the cluster does not answer, or does not know the account.
    """
    refs = [ref_of_applied(entry) for entry in objects]
    return await _delete(_Deleting(cluster, project_id, len(refs), beats), refs)


async def delete_planned(
    cluster: Cluster,
    manifests: Sequence[Manifest],
    project_id: str,
    beats: Beats,
    namespace: str | None = None,
) -> Removal:
    """Delete what an attempt without a result may have applied of these manifests.

    Like delete_all, but an object that is not the project's is not reported: the attempt may have
    failed because of it.
    """
    refs = []
    for body in manifests:
        with suppress(KindMissing):
            refs.append(await cluster.ref_of(body, namespace))
    return await _delete(_Deleting(cluster, project_id, len(refs), beats, is_planned=True), refs)


async def _delete(deleting: _Deleting, given: Sequence[Ref]) -> Removal:
    refs = given[::-1]
    for ref in refs:
        if ref.kind != "Namespace":
            await deleting.delete(ref)
    await deleting.until_gone()
    for ref in refs:
        if ref.kind == "Namespace":
            await deleting.delete_namespace(ref)
    return deleting.done


class _Deleting:
    def __init__(
        self,
        cluster: Cluster,
        project_id: str,
        total: int,
        beats: Beats,
        *,
        is_planned: bool = False,
    ) -> None:
        self.done = Removal()
        self._is_planned = is_planned
        self._cluster = cluster
        self._project_id = project_id
        self._total = total
        self._beats = beats
        self._seen = 0
        self._going: list[Ref] = []
        self._kept: set[str] = set()

    async def delete(self, ref: Ref) -> None:
        self._beats.say(Progress(100 * self._seen // self._total, f"Deleting {ref}"))
        self._seen += 1
        try:
            if await self._cluster.delete(ref, self._project_id):
                self.done.removed.append(str(ref))
                self._going.append(ref)
        except NotOurs as error:
            if self._is_planned and not isinstance(error, HasOthers):
                return
            self._leave(ref, error.message.removeprefix(f"{ref} "), error.remedy, again=False)
        except ClusterError as error:
            if _concerns_all(error):
                raise
            why = error.message.removeprefix(f"{ref} ").replace(f" for {ref}", "", 1)
            self._leave(ref, why, error.remedy)

    async def delete_namespace(self, ref: Ref) -> None:
        """Kubernetes deletes a namespace with what is in it, some time later."""
        if ref.name in self._kept:
            again = any(entry.again for entry in self.done.left)
            self._leave(ref, "was kept, because something in it is left", again=again)
        else:
            await self.delete(ref)

    async def until_gone(self) -> None:
        """Wait until what was deleted is gone. What waits for its finalizers is left."""
        end = time.monotonic() + GONE_WITHIN
        while self._going:
            found = {ref: await self._still_there(ref) for ref in self._going}
            waiting = {ref: body for ref, body in found.items() if body is not None}
            self._going = list(waiting)
            if waiting and time.monotonic() > end:
                for ref, body in waiting.items():
                    self.done.removed.remove(str(ref))
                    self._leave(ref, f"is being deleted, but {waiting_deletion(body)}", _FINALIZERS)
                return
            if waiting:
                self._beats.say(Progress(90, f"Waiting until {_named(waiting)} is gone"))
                await asyncio.sleep(POLL)

    async def _still_there(self, ref: Ref) -> Manifest | None:
        found = await self._cluster.read(ref)
        is_same = found is not None and ref.uid in ("", found["metadata"]["uid"])
        return found if is_same else None

    def _leave(self, ref: Ref, why: str, remedy: str = "", *, again: bool = True) -> None:
        self.done.left.append(Left(str(ref), why, remedy, again))
        self._kept.add(ref.namespace)


_FINALIZERS = (
    "Check that the controller of these finalizers runs. Remove what is still left then by hand."
)


def _concerns_all(error: ClusterError) -> bool:
    """Whether the cluster would answer the same for every other object."""
    return error.status == 401 or (error.status is None and error.later)


def _named(refs: Iterable[Ref]) -> str:
    return ", ".join(map(str, refs))
