"""open_pull_request and its undo: a pull or merge request between two branches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from temporalio import activity

from stepway.activities.beats import beating
from stepway.activities.hosts import OpenHost
from stepway.activities.repository.target import (
    OnRepository,
    made_repository,
    need,
    opened_host,
    opened_repository,
    owner_on,
)
from stepway.activities.rollback import Removed, left_behind
from stepway.hosts.host import Feature, PullRequestSpec

_MARK = "<!-- Stepway-Project: {project} -->"
"""Ends the text of a pull request that a step has opened. Hosts do not show it to people."""


@dataclass(frozen=True)
class OpenPullRequestInput(OnRepository):
    """From the branch `head` to `base`, by default the default branch."""

    head: str
    title: str
    base: str | None = field(default=None, kw_only=True)
    body: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class OpenedPullRequest:
    """`state` is `open`, `merged` or `closed`.

    `adopted`: somebody else had opened it, so a rollback leaves it open.
    """

    number: int
    url: str
    state: str
    adopted: bool = False


@dataclass(frozen=True)
class ClosePullRequestInput(OnRepository):
    """`result` is the result of open_pull_request."""

    result: dict[str, Any] | None = field(default=None, kw_only=True)


class PullRequestSteps:
    """Opens pull requests on Git hosts."""

    def __init__(self, hosts: OpenHost) -> None:
        self._hosts = hosts

    @activity.defn
    async def open_pull_request(self, given: OpenPullRequestInput) -> OpenedPullRequest:
        """Open the pull request, or return the open one between the same branches."""
        async with beating(), opened_repository(self._hosts, given) as (host, repository):
            need(host, Feature.PULL_REQUESTS)
            base = given.base or repository.default_branch or "main"
            mark = _MARK.format(project=given.project.id)
            body = f"{given.body}\n\n{mark}".lstrip()
            spec = PullRequestSpec(given.head, base, given.title, body)
            made = await host.open_pull_request(repository, spec)
        return OpenedPullRequest(made.number, made.url, made.state, mark not in made.body)

    @activity.defn
    async def close_pull_request(self, given: ClosePullRequestInput) -> Removed:
        """Close the pull request that the step has opened; its branch stays.

        Raises step_error if it was merged.
        """
        made = given.result or {}
        number = made.get("number")
        if number is None or made.get("adopted"):
            return Removed()
        async with beating(), opened_host(self._hosts, given) as host:
            repository = await made_repository(host, given, await owner_on(host, given))
            if repository is None:
                return Removed()
            found = await host.find_pull_request(repository, number)
            if found.state == "merged":
                raise left_behind(f"The pull request {found.url}", "it was merged")
            closed = await host.close_pull_request(repository, number)
        return Removed([found.url] if closed else [])
