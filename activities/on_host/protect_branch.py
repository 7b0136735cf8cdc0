"""protect_branch and its undo: rules for a branch. It comes after the first push."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from temporalio import activity

from stepway.activities.beats import beating
from stepway.activities.hosts import OpenHost
from stepway.activities.repository.target import (
    OnRepository,
    need,
    opened_host,
    opened_repository,
    to_take_back,
)
from stepway.activities.rollback import Removed
from stepway.hosts.host import BranchRules, Feature
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Skipped

_MOST_APPROVALS = 6
"""GitHub's limit."""


@dataclass(frozen=True)
class ProtectBranchInput(OnRepository):
    """The rules of `branch`, by default the default branch; rules that it has are replaced.

    `checks` are names of status checks that must pass, `approvals` reviews that are needed.
    Without `protect` the step is skipped. `unsupported`: whether it fails or is skipped on a host
    that cannot protect branches.
    """

    branch: str | None = field(default=None, kw_only=True)
    approvals: int = field(default=0, kw_only=True)
    checks: list[str] = field(default_factory=list, kw_only=True)
    pull_request: bool = field(default=True, kw_only=True)
    allow_force_push: bool = field(default=False, kw_only=True)
    protect: bool = field(default=True, kw_only=True)
    unsupported: Literal["fail", "skip"] = field(default="fail", kw_only=True)


@dataclass(frozen=True)
class ProtectedBranch:
    """The branch that is protected."""

    branch: str


@dataclass(frozen=True)
class UnprotectBranchInput(OnRepository):
    """`result` is the result of protect_branch."""

    result: dict[str, Any] | None = field(default=None, kw_only=True)


class ProtectionSteps:
    """Protects branches on Git hosts."""

    def __init__(self, hosts: OpenHost) -> None:
        self._hosts = hosts

    @activity.defn
    async def protect_branch(self, given: ProtectBranchInput) -> ProtectedBranch | Skipped:
        """Protect the branch."""
        if not given.protect:
            return Skipped("The branch is not to be protected")
        if not 0 <= given.approvals <= _MOST_APPROVALS:
            raise step_error(
                f"{given.approvals} approvals are not possible",
                remedy=f"Ask for 0 to {_MOST_APPROVALS} approvals.",
                retry=False,
            )
        async with beating(), opened_repository(self._hosts, given) as (host, repository):
            if given.unsupported == "skip" and Feature.BRANCH_PROTECTION not in host.features:
                return Skipped(f"The {host.kind.value} host cannot protect branches")
            need(host, Feature.BRANCH_PROTECTION)
            branch = given.branch or repository.default_branch or "main"
            rules = BranchRules(
                branch=branch,
                approvals=given.approvals,
                checks=tuple(given.checks),
                allow_force_push=given.allow_force_push,
                pull_request=given.pull_request,
            )
            await host.protect_branch(repository, rules)
        return ProtectedBranch(branch)

    @activity.defn
    async def unprotect_branch(self, given: UnprotectBranchInput) -> Removed:
        """Remove the protection. Raises step_error if it may be older than the project."""
        branch = (given.result or {}).get("branch")
        if not branch:
            return Removed()
        async with beating(), opened_host(self._hosts, given) as host:
            repository = await to_take_back(host, given, f"The protection of {branch}")
            if repository is None or not await host.unprotect_branch(repository, branch):
                return Removed()
        return Removed([branch])
