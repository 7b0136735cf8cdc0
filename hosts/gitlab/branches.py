"""Protected branches."""

from __future__ import annotations

from stepway.hosts.client import Json
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.api import PAGE, GitLabApi, project_path, quoted
from stepway.hosts.host import BranchRules, HostRepository

_NOBODY, _DEVELOPERS = 0, 30


class Branches(GitLabApi):
    """Protection of branches. Approvals of merge requests need GitLab Premium."""

    async def protect_branch(self, repository: HostRepository, rules: BranchRules) -> None:
        """Replace the protection of a branch: the default branch often has one from the start.

        GitLab names no single checks: where rules name some, the whole pipeline must succeed,
        to which reported commit statuses belong. This and the approvals are valid for all
        branches of the project.
        """
        if rules.approvals:
            await self._require_approvals(repository, rules.approvals)
        if rules.checks:
            checked = {"only_allow_merge_if_pipeline_succeeds": True}
            await self.http.call("PUT", project_path(repository), checked)
        body = {
            "name": rules.branch,
            "push_access_level": _NOBODY if rules.pull_request else _DEVELOPERS,
            "merge_access_level": _DEVELOPERS,
            "allow_force_push": rules.allow_force_push,
        }
        path = _protected(repository, rules.branch)
        found = await self.http.call("GET", path, missing=True)
        if found is not None:
            if _is_as(found, body):
                return
            # The levels of a protection cannot be changed.
            await self.http.call("DELETE", path, missing=True)
        try:
            await self.http.call("POST", f"{project_path(repository)}/protected_branches", body)
        except HostError as error:
            if not error.is_taken:
                raise
            raise HostError(
                Reason.CONFLICT,
                f"The protection of {rules.branch} was changed at the same time",
                status=error.status,
            ) from error

    async def unprotect_branch(self, repository: HostRepository, branch: str) -> bool:
        """Remove the branch's protection; what is valid for all branches stays."""
        response, _ = await self.http.answer("DELETE", _protected(repository, branch), missing=True)
        return response.is_success

    async def _require_approvals(self, repository: HostRepository, approvals: int) -> None:
        rules = f"{project_path(repository)}/approval_rules"
        try:
            known = [rule async for rule in self.http.pages(rules, PAGE)]
            body = {"name": "All Members", "approvals_required": approvals}
            for rule in known:
                if rule["rule_type"] == "any_approver":
                    await self.http.call("PUT", f"{rules}/{rule['id']}", body)
                    return
            await self.http.call("POST", rules, {**body, "rule_type": "any_approver"})
        except HostError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            raise HostError(
                Reason.UNSUPPORTED,
                "Required approvals of merge requests need GitLab Premium",
                remedy="Set the approvals to 0, or change the plan.",
                status=error.status,
            ) from error


def _is_as(found: Json, body: Json) -> bool:
    """Whether a protection has just the levels of a request."""
    return found["allow_force_push"] is body["allow_force_push"] and all(
        [level["access_level"] for level in found[f"{act}_access_levels"]]
        == [body[f"{act}_access_level"]]
        for act in ("push", "merge")
    )


def _protected(repository: HostRepository, branch: str) -> str:
    return f"{project_path(repository)}/protected_branches/{quoted(branch)}"
