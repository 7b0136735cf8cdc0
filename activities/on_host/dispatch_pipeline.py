"""dispatch_pipeline: starts a workflow or pipeline of the project's repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity

from stepway.activities.beats import Beats, beating
from stepway.activities.hosts import OpenHost
from stepway.activities.repository.target import OnRepository, need, opened_repository
from stepway.hosts.dispatches import may_have_started
from stepway.hosts.errors import UNCERTAIN, HostError
from stepway.hosts.host import Feature, GitHost, HostRepository, PipelineRun

_ASKED = "newest_run_before"


@dataclass(frozen=True)
class DispatchPipelineInput(OnRepository):
    """`workflow` is a file name on GitHub and Gitea; GitLab has one pipeline for each branch.

    `ref` is a branch or tag, by default the default branch. If the host's answer is lost, this
    attempt and the next look for a run that has begun since, and take it for the one asked for. On
    a host that does not list its runs, the step fails, and a person decides.
    """

    workflow: str = field(default="", kw_only=True)
    ref: str | None = field(default=None, kw_only=True)
    inputs: dict[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class DispatchedPipeline:
    """`url` is where to follow the pipeline."""

    url: str


class PipelineSteps:
    """Starts pipelines on Git hosts."""

    def __init__(self, hosts: OpenHost) -> None:
        self._hosts = hosts

    @activity.defn
    async def dispatch_pipeline(self, given: DispatchPipelineInput) -> DispatchedPipeline:
        """Start the pipeline."""
        async with beating() as beats:
            asked = _asked_before()
            if asked is not None:
                # The attempt after this one needs it too.
                beats.keep({_ASKED: asked})
            async with opened_repository(self._hosts, given) as (host, repository):
                need(host, Feature.DISPATCH)
                return DispatchedPipeline(
                    await self._started(beats, host, repository, given, asked)
                )

    async def _started(
        self,
        beats: Beats,
        host: GitHost,
        repository: HostRepository,
        given: DispatchPipelineInput,
        asked: int | None,
    ) -> str:
        ref = given.ref or repository.default_branch or "main"
        newest = await host.newest_run(repository, given.workflow, ref)
        if asked is not None:
            if newest is None:
                raise may_have_started(repository)
            if newest.id > asked:
                return newest.url
        after = newest if asked is None else PipelineRun(asked)
        await beats.kept({_ASKED: after.id if after else 0})
        try:
            return await host.dispatch(repository, given.workflow, ref, given.inputs, after)
        except HostError as error:
            if asked is None and error.reason not in UNCERTAIN:
                # Nothing has started: the next attempt asks as if for the first time.
                beats.keep()
            raise


def _asked_before() -> int | None:
    """Return the newest run before an earlier attempt asked for one; None if none has asked."""
    for kept in activity.info().heartbeat_details:
        if isinstance(kept, Mapping) and isinstance(kept.get(_ASKED), int):
            return int(kept[_ASKED])
    return None
