"""dispatch_pipeline: starts a workflow or pipeline of the project's repository."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from temporalio import activity

from stepway.activities.beats import beating
from stepway.activities.git.target import OnRepository, need, opened_repository
from stepway.activities.hosts import OpenHost
from stepway.hosts.host import Feature


@dataclass(frozen=True)
class DispatchPipelineInput(OnRepository):
    """`workflow` is a file name on GitHub and Gitea; GitLab has one pipeline for each branch.

    `ref` is a branch or tag, by default the default branch. If the host's answer is lost, a run
    that has begun since is taken for the one asked for. If none shows up, the next attempt starts
    another: `maximum_attempts: 1` prevents that.
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
        async with beating(), opened_repository(self._hosts, given) as (host, repository):
            need(host, Feature.DISPATCH)
            ref = given.ref or repository.default_branch or "main"
            url = await host.dispatch(repository, given.workflow, ref, given.inputs)
        return DispatchedPipeline(url)
