"""Webhooks."""

from __future__ import annotations

from typing import Any

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.api import PAGE, GitLabApi, project_path
from stepway.hosts.host import HostRepository, WebhookSpec

EVENTS = (
    "confidential_issues",
    "confidential_note",
    "deployment",
    "issues",
    "job",
    "merge_requests",
    "note",
    "pipeline",
    "push",
    "releases",
    "tag_push",
    "wiki_page",
)
"""The events that a webhook may ask for; GitLab's API adds `_events`."""


class Webhooks(GitLabApi):
    """Webhooks of a project."""

    async def add_webhook(self, repository: HostRepository, webhook: WebhookSpec) -> str:
        """Add a webhook; the secret goes with each delivery as X-Gitlab-Token.

        Raises HostError INVALID for an event that GitLab does not know.
        """
        body: dict[str, Any] = {"url": webhook.url, **_events(webhook)}
        if webhook.secret:
            body["token"] = webhook.secret
        hooks = f"{project_path(repository)}/hooks"
        async for known in self.http.pages(hooks, PAGE):
            if known["url"] == webhook.url:
                await self.http.call("PUT", f"{hooks}/{known['id']}", body)
                return str(known["id"])
        return str((await self.http.call("POST", hooks, body))["id"])

    async def remove_webhook(self, repository: HostRepository, webhook_id: str) -> bool:
        """Delete a webhook."""
        path = f"{project_path(repository)}/hooks/{int(webhook_id)}"
        response, _ = await self.http.answer("DELETE", path, missing=True)
        return response.is_success


def _events(webhook: WebhookSpec) -> dict[str, bool]:
    """Return the fields of all events: GitLab asks for pushes where that is left out."""
    asked = {event.removesuffix("_events") for event in webhook.events}
    if unknown := sorted(asked - set(EVENTS)):
        raise HostError(
            Reason.INVALID,
            f"GitLab has no webhook event {', '.join(unknown)}",
            remedy=f"Its events are: {', '.join(EVENTS)}.",
        )
    return {f"{event}_events": event in asked for event in EVENTS}
