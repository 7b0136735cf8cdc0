"""Deploy keys."""

from __future__ import annotations

from stepway.hosts.gitea.api import PAGE, GiteaApi, repository_path
from stepway.hosts.host import DeployKey, HostRepository


class DeployKeys(GiteaApi):
    """Public SSH keys that may read a repository, or also write."""

    async def ssh_host_keys(self) -> list[str]:
        """Return nothing: Gitea and Forgejo publish no keys over their API."""
        return []

    async def deploy_keys(self, repository: HostRepository) -> list[DeployKey]:
        """Return the deploy keys of a repository."""
        keys = f"{repository_path(repository)}/keys"
        return [
            DeployKey(
                str(known["id"]),
                known["title"],
                " ".join(known["key"].split()[:2]),
                known["read_only"],
            )
            async for known in self.http.pages(keys, PAGE)
        ]

    async def add_deploy_key(
        self, repository: HostRepository, title: str, key: str, *, read_only: bool = True
    ) -> str:
        """Add a key, or return the one that is there.

        A key with the other right is replaced: the API cannot change a key.
        """
        keys = f"{repository_path(repository)}/keys"
        for known in await self.deploy_keys(repository):
            if known.key.split() == key.split()[:2]:
                if known.read_only is read_only:
                    return known.id
                await self.http.call("DELETE", f"{keys}/{known.id}", missing=True)
        body = {"title": title, "key": key, "read_only": read_only}
        return str((await self.http.call("POST", keys, body))["id"])

    async def remove_deploy_key(self, repository: HostRepository, key_id: str) -> bool:
        """Delete a key."""
        path = f"{repository_path(repository)}/keys/{int(key_id)}"
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success
