"""Environments, and approvals of deployments to them."""

from __future__ import annotations

from typing import Any

from stepway.hosts.client import Json
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.api import ACCESS_LEVELS, GitLabApi, project_path, quoted
from stepway.hosts.host import DeployEnvironment, HostRepository, Permission


class Environments(GitLabApi):
    """Environments of a project; approvals need GitLab Premium."""

    async def put_environment(
        self,
        repository: HostRepository,
        environment: DeployEnvironment,
        *,
        keep_more: bool = False,
    ) -> None:
        """Create an environment.

        Every reviewer must approve a deployment; of a group, `approvals` members. Raises HostError
        UNSUPPORTED for a waiting time, and for reviewers on a host without GitLab Premium.
        """
        if environment.wait:
            raise HostError(
                Reason.UNSUPPORTED,
                f"GitLab has no waiting time before a deployment to {environment.name}",
                remedy="Leave out the wait, or delay the deployment's job by "
                "`when: delayed` in .gitlab-ci.yml.",
            )
        path = f"{project_path(repository)}/environments"
        try:
            await self.http.call("POST", path, {"name": environment.name})
        except HostError as error:
            if not error.is_taken:
                raise
        if keep_more and environment.reviewers and await self._added(repository, environment):
            return
        await self._protect(repository, environment)

    async def remove_environment(self, repository: HostRepository, name: str) -> bool:
        """Stop and delete an environment, with its approvals."""
        environments = f"{project_path(repository)}/environments"
        found = await self.http.call("GET", environments, params={"name": name}, missing=True)
        await self.http.call("DELETE", _protected(repository, name), missing=True)
        if not found:
            return False
        path = f"{environments}/{found[0]['id']}"
        # GitLab deletes stopped environments only.
        await self.http.call("POST", f"{path}/stop", {"force": True}, missing=True)
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success

    async def _added(self, repository: HostRepository, environment: DeployEnvironment) -> bool:
        """Add the reviewers to those that an environment has; False if it has no protection."""
        path = _protected(repository, environment.name)
        found = await self.http.call("GET", path, missing=True)
        if found is None:
            return False
        new = []
        for reviewer in environment.reviewers:
            rule = await self._rule(reviewer, max(1, environment.approvals))
            has = [one for one in found.get("approval_rules") or () if _is_same(one, rule)]
            if not has:
                new.append(rule)
            elif has[0]["required_approvals"] < rule["required_approvals"]:
                new.append({"id": has[0]["id"], **rule})
        if new:
            await self.http.call("PUT", path, {"approval_rules": new})
        return True

    async def _protect(self, repository: HostRepository, environment: DeployEnvironment) -> None:
        if not environment.reviewers:
            return
        developers = ACCESS_LEVELS[Permission.WRITE]
        body = {
            "name": environment.name,
            "deploy_access_levels": [{"access_level": developers}],
            "approval_rules": [
                await self._rule(reviewer, max(1, environment.approvals))
                for reviewer in environment.reviewers
            ],
        }
        await self.http.call("DELETE", _protected(repository, environment.name), missing=True)
        protected = f"{project_path(repository)}/protected_environments"
        try:
            await self.http.call("POST", protected, body)
        except HostError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            raise HostError(
                Reason.UNSUPPORTED,
                "Reviewers of deployments need GitLab Premium, and the credential's account the "
                "role Maintainer",
                remedy="Leave out the reviewers, or change the plan or the role.",
                status=error.status,
            ) from error

    async def _rule(self, reviewer: str, approvals: int) -> dict[str, Any]:
        if reviewer.startswith("@"):
            group = await self.group_id(reviewer[1:])
            return {"group_id": group, "required_approvals": approvals}
        return {"user_id": await self.user_id(reviewer), "required_approvals": 1}


def _is_same(one: Json, other: Json) -> bool:
    """Whether two rules ask the same person or group."""
    return all(one.get(field) == other.get(field) for field in ("user_id", "group_id"))


def _protected(repository: HostRepository, name: str) -> str:
    return f"{project_path(repository)}/protected_environments/{quoted(name)}"
