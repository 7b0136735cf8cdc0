"""Branch protection."""

from __future__ import annotations

from typing import Any

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitea.api import GiteaApi, quoted, repository_path
from stepway.hosts.host import BranchRules, HostRepository


class Branches(GiteaApi):
    """Rules for branches."""

    async def protect_branch(self, repository: HostRepository, rules: BranchRules) -> None:
        """Set the rule of a branch. Raises HostError UNSUPPORTED for a force push at Forgejo."""
        body = _rule(rules)
        if rules.allow_force_push:
            await self._check_force_push()
            body["enable_force_push"] = True
        protections = f"{repository_path(repository)}/branch_protections"
        path = f"{protections}/{quoted(rules.branch)}"
        if await self.http.call("GET", path, missing=True) is None:
            names = {"rule_name": rules.branch, "branch_name": rules.branch}
            try:
                await self.http.call("POST", protections, {**names, **body})
                return
            except HostError as error:
                if not error.is_taken:
                    raise
        await self.http.call("PATCH", path, body)

    async def unprotect_branch(self, repository: HostRepository, branch: str) -> bool:
        """Remove the rule."""
        path = f"{repository_path(repository)}/branch_protections/{quoted(branch)}"
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success

    async def _check_force_push(self) -> None:
        version = (await self.http.call("GET", "version"))["version"]
        # Forgejo's version ends with the Gitea version that its API is compatible with.
        if "+gitea-" in version:
            raise HostError(
                Reason.UNSUPPORTED,
                f"Forgejo {version.partition('+')[0]} allows no force push to a protected branch",
                remedy="Leave out allow_force_push, or do not protect the branch.",
            )


def _rule(rules: BranchRules) -> dict[str, Any]:
    return {
        "enable_push": not rules.pull_request,
        "required_approvals": rules.approvals,
        "enable_status_check": bool(rules.checks),
        "status_check_contexts": list(rules.checks),
    }
