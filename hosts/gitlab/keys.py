"""Deploy keys."""

from __future__ import annotations

from stepway.hosts.gitlab.api import PAGE, GitLabApi, project_path
from stepway.hosts.host import DeployKey, HostRepository


class DeployKeys(GitLabApi):
    """Public SSH keys that may read a project, or also write."""

    async def ssh_host_keys(self) -> list[str]:
        """Return nothing: GitLab publishes no keys over its API."""
        return []

    async def deploy_keys(self, repository: HostRepository) -> list[DeployKey]:
        """Return the deploy keys of a project."""
        keys = f"{project_path(repository)}/deploy_keys"
        return [
            DeployKey(
                str(known["id"]),
                known["title"],
                " ".join(known["key"].split()[:2]),
                not known["can_push"],
            )
            async for known in self.http.pages(keys, PAGE)
        ]

    async def add_deploy_key(
        self, repository: HostRepository, title: str, key: str, *, read_only: bool = True
    ) -> str:
        """Add a key, or return the one that is there, with the right that is asked for."""
        keys, can_push = f"{project_path(repository)}/deploy_keys", not read_only
        for known in await self.deploy_keys(repository):
            if known.key.split() == key.split()[:2]:
                if known.read_only is not read_only:
                    body = {"title": title, "can_push": can_push}
                    await self.http.call("PUT", f"{keys}/{known.id}", body)
                return known.id
        body = {"title": title, "key": key, "can_push": can_push}
        return str((await self.http.call("POST", keys, body))["id"])

    async def remove_deploy_key(self, repository: HostRepository, key_id: str) -> bool:
        """Delete a key."""
        path = f"{project_path(repository)}/deploy_keys/{int(key_id)}"
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success
