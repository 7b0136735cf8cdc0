"""Webhooks."""

from __future__ import annotations

from typing import Any

from stepway.hosts.gitea.api import PAGE, GiteaApi, repository_path
from stepway.hosts.host import HostRepository, WebhookSpec


class Webhooks(GiteaApi):
    """Webhooks of a repository."""

    async def add_webhook(self, repository: HostRepository, webhook: WebhookSpec) -> str:
        """Add a webhook; the secret signs each delivery in X-Gitea-Signature."""
        config = {"url": webhook.url, "content_type": "json"}
        if webhook.secret:
            config["secret"] = webhook.secret
        body: dict[str, Any] = {"config": config, "events": list(webhook.events), "active": True}
        hooks = f"{repository_path(repository)}/hooks"
        async for known in self.http.pages(hooks, PAGE):
            if known["config"].get("url") == webhook.url:
                await self.http.call("PATCH", f"{hooks}/{known['id']}", body)
                return str(known["id"])
        # Forgejo takes this type too.
        return str((await self.http.call("POST", hooks, {"type": "gitea", **body}))["id"])

    async def remove_webhook(self, repository: HostRepository, webhook_id: str) -> bool:
        """Delete a webhook."""
        path = f"{repository_path(repository)}/hooks/{int(webhook_id)}"
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success
