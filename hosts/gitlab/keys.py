"""Deploy keys."""

from __future__ import annotations

from stepway.hosts.gitlab.api import PAGE, GitLabApi, project_path
from stepway.hosts.host import HostRepository


class DeployKeys(GitLabApi):
    """Public SSH keys that may read a project, or also write."""

    async def add_deploy_key(
        self, repository: HostRepository, title: str, key: str, *, read_only: bool = True
    ) -> str:
        """Add a key, or return the one that is there, with the right that is asked for."""
        keys, can_push = f"{project_path(repository)}/deploy_keys", not read_only
        async for known in self.http.pages(keys, PAGE):
            if known["key"].split()[:2] == key.split()[:2]:
                if known["can_push"] is not can_push:
                    body = {"title": title, "can_push": can_push}
                    await self.http.call("PUT", f"{keys}/{known['id']}", body)
                return str(known["id"])
        body = {"title": title, "key": key, "can_push": can_push}
        return str((await self.http.call("POST", keys, body))["id"])

    async def remove_deploy_key(self, repository: HostRepository, key_id: str) -> bool:
        """Delete a key."""
        path = f"{project_path(repository)}/deploy_keys/{int(key_id)}"
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success
