"""Rules for branches, pull requests and commit statuses on GitHub."""

from __future__ import annotations

import asyncio
from typing import Any

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github.api import segment
from stepway.hosts.github.calls import GitHubCalls
from stepway.hosts.host import (
    BranchRules,
    CommitStatus,
    HostRepository,
    PullRequest,
    PullRequestSpec,
)

_LONGEST_STATUS = 140


class Changes(GitHubCalls):
    """Rules how branches change, and the changes that are proposed."""

    async def protect_branch(self, repository: HostRepository, rules: BranchRules) -> None:
        """Protect a branch by a ruleset of ours; on an older Enterprise by branch protection."""
        found, rulesets = await self._our_ruleset(repository, rules.branch)
        if not rulesets:
            path = f"/branches/{segment(rules.branch)}/protection"
            await self._written(repository, "PUT", path, _protection(rules))
        elif found is None:

            async def find() -> Any:
                return (await self._our_ruleset(repository, rules.branch))[0]

            await self._added(repository, "/rulesets", _ruleset(rules), find)
        else:
            await self._written(repository, "PUT", f"/rulesets/{found}", _ruleset(rules))

    async def unprotect_branch(self, repository: HostRepository, branch: str) -> bool:
        """Remove our ruleset, or the branch protection of an older Enterprise."""
        found, rulesets = await self._our_ruleset(repository, branch)
        if not rulesets:
            return await self._removed(repository, f"/branches/{segment(branch)}/protection")
        return found is not None and await self._removed(repository, f"/rulesets/{found}")

    async def open_pull_request(
        self, repository: HostRepository, spec: PullRequestSpec
    ) -> PullRequest:
        """Open a pull request, or return the open one between the same branches."""

        async def find() -> Any:
            return await self._open_between(repository, spec)

        found = await find()
        body = {"title": spec.title, "head": spec.head, "base": spec.base, "body": spec.body}
        if found is not None:
            return _pull(found)
        for pause in self.patience:
            try:
                return _pull(await self._added(repository, "/pulls", body, find))
            except HostError as error:
                # A branch that was pushed a moment ago may be unknown to pull requests.
                if error.reason is not Reason.INVALID or "invalid" not in error.message:
                    raise
            await asyncio.sleep(pause)
        return _pull(await self._added(repository, "/pulls", body, find))

    async def find_pull_request(self, repository: HostRepository, number: int) -> PullRequest:
        """Return a pull request."""
        return _pull(await self.http.call("GET", self._path(repository, f"/pulls/{number}")))

    async def close_pull_request(self, repository: HostRepository, number: int) -> bool:
        """Close a pull request without merging; False if it was not open."""
        path = self._path(repository, f"/pulls/{number}")
        found = await self.http.call("GET", path, missing=True)
        if found is None or found["state"] != "open":
            return False
        await self.http.call("PATCH", path, {"state": "closed"})
        return True

    async def set_commit_status(
        self, repository: HostRepository, commit: str, status: CommitStatus
    ) -> None:
        """Report a status for a commit."""
        body = {
            "state": status.state,
            "context": status.context,
            "description": status.description[:_LONGEST_STATUS],
        }
        if status.url:
            body["target_url"] = status.url
        await self._written(repository, "POST", f"/statuses/{segment(commit)}", body)

    async def _open_between(self, repository: HostRepository, spec: PullRequestSpec) -> Any:
        wanted = {
            "state": "open",
            "head": f"{repository.owner}:{spec.head}",
            "base": spec.base,
        }
        found = await self.http.call("GET", self._path(repository, "/pulls"), params=wanted)
        return found[0] if found else None

    async def _our_ruleset(
        self, repository: HostRepository, branch: str
    ) -> tuple[int | None, bool]:
        """Return our ruleset's ID or None, and whether this GitHub has rulesets."""
        path = self._path(repository, "/rulesets")
        params = {"includes_parents": "false", "per_page": 100}
        try:
            async for ruleset in self.http.pages(path, params):
                if ruleset["name"] == _name(branch):
                    return int(ruleset["id"]), True
        except HostError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            await self._check_visible(repository)
            return None, False
        return None, True


def _name(branch: str) -> str:
    return f"Stepway: {branch}"


def _ruleset(rules: BranchRules) -> dict[str, Any]:
    made: list[dict[str, Any]] = [{"type": "deletion"}]
    if not rules.allow_force_push:
        made.append({"type": "non_fast_forward"})
    if rules.pull_request or rules.approvals:
        parameters = {
            "required_approving_review_count": rules.approvals,
            "dismiss_stale_reviews_on_push": False,
            "require_code_owner_review": False,
            "require_last_push_approval": False,
            "required_review_thread_resolution": False,
        }
        made.append({"type": "pull_request", "parameters": parameters})
    if rules.checks:
        checks = {
            "strict_required_status_checks_policy": False,
            "required_status_checks": [{"context": name} for name in rules.checks],
        }
        made.append({"type": "required_status_checks", "parameters": checks})
    return {
        "name": _name(rules.branch),
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": [f"refs/heads/{rules.branch}"], "exclude": []}},
        "rules": made,
    }


def _protection(rules: BranchRules) -> dict[str, Any]:
    reviews = {"required_approving_review_count": rules.approvals}
    checks = {"strict": False, "contexts": list(rules.checks)}
    return {
        "required_status_checks": checks if rules.checks else None,
        "enforce_admins": True,
        "required_pull_request_reviews": (
            reviews if rules.pull_request or rules.approvals else None
        ),
        "restrictions": None,
        "allow_force_pushes": rules.allow_force_push,
    }


def _pull(data: Any) -> PullRequest:
    state = "merged" if data.get("merged_at") else str(data["state"])
    return PullRequest(
        int(data["number"]), str(data["html_url"]), state, str(data.get("body") or "")
    )
