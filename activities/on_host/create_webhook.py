"""create_webhook and its undo: the host calls a URL when something happens in the repository."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from temporalio import activity

from stepway.activities.beats import beating
from stepway.activities.credentials.credentials import Credentials
from stepway.activities.hosts import OpenHost
from stepway.activities.on_host.create_secrets import FromCredential
from stepway.activities.repository.target import (
    OnRepository,
    need,
    opened_host,
    opened_repository,
    to_take_back,
)
from stepway.activities.rollback import Removed
from stepway.hosts.host import Feature, WebhookSpec
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Skipped


@dataclass(frozen=True)
class CreateWebhookInput(OnRepository):
    """`events` are the host's own names; `secret` signs the calls.

    With an empty `url` the step is skipped.
    """

    url: str
    events: list[str] = field(default_factory=lambda: ["push"], kw_only=True)
    secret: FromCredential | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class CreatedWebhook:
    """`id` is the webhook's ID on the host."""

    id: str
    url: str


@dataclass(frozen=True)
class DeleteWebhookInput(OnRepository):
    """`result` is the result of create_webhook."""

    result: dict[str, Any] | None = field(default=None, kw_only=True)


class WebhookSteps:
    """Creates webhooks on Git hosts."""

    def __init__(self, hosts: OpenHost, credentials: Credentials) -> None:
        self._hosts = hosts
        self._credentials = credentials

    @activity.defn
    async def create_webhook(self, given: CreateWebhookInput) -> CreatedWebhook | Skipped:
        """Create the webhook, or update the one with the same URL."""
        if not given.url:
            return Skipped("There is no webhook")
        url = urlsplit(given.url)
        if url.scheme not in ("http", "https") or not url.hostname or url.password:
            raise step_error(
                "`url` is not the address of a webhook",
                remedy="Use an HTTP or HTTPS URL without a password; give `secret` a credential.",
                retry=False,
            )
        async with beating():
            secret = await self._secret(given)
            async with opened_repository(self._hosts, given) as (host, repository):
                need(host, Feature.WEBHOOKS)
                webhook = WebhookSpec(given.url, tuple(given.events), secret)
                return CreatedWebhook(await host.add_webhook(repository, webhook), given.url)

    async def _secret(self, given: CreateWebhookInput) -> str:
        if given.secret is None:
            return ""
        return (await self._credentials.open(given.secret.credential, given.project)).value

    @activity.defn
    async def delete_webhook(self, given: DeleteWebhookInput) -> Removed:
        """Delete the webhook. Raises step_error if it may be older than the project."""
        made = given.result or {}
        if not made.get("id"):
            return Removed()
        async with beating(), opened_host(self._hosts, given) as host:
            repository = await to_take_back(host, given, f"The webhook {made['url']}")
            if repository is None or not await host.remove_webhook(repository, made["id"]):
                return Removed()
        return Removed([made["url"]])
