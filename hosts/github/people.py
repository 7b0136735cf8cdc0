"""Collaborators, teams, deploy keys and webhooks of a repository on GitHub."""

from __future__ import annotations

from typing import Any

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github.api import segment
from stepway.hosts.github.calls import GitHubCalls
from stepway.hosts.host import DeployKey, HostRepository, Permission, WebhookSpec

_ROLES = {
    Permission.READ: "pull",
    Permission.TRIAGE: "triage",
    Permission.WRITE: "push",
    Permission.MAINTAIN: "maintain",
    Permission.ADMIN: "admin",
}

_ORDER = ("none", *(right.value for right in Permission))


class People(GitHubCalls):
    """Gives rights to people, teams and machines, and takes them back."""

    async def put_collaborator(
        self,
        repository: HostRepository,
        account: str,
        permission: Permission,
        *,
        keep_more: bool = False,
    ) -> None:
        """Give an account a permission; GitHub may invite the person first."""
        path = f"/collaborators/{segment(account)}"
        if keep_more and _is_more(await self._right_of(repository, path), permission):
            return
        await self._written(repository, "PUT", path, {"permission": _ROLES[permission]})

    async def remove_collaborator(self, repository: HostRepository, account: str) -> bool:
        """Take the permission back; an invitation that is open is withdrawn."""
        path = f"/collaborators/{segment(account)}"
        was, _ = await self.http.answer("GET", self._path(repository, path), missing=True)
        # GitHub answers 204 for everybody, and withdraws an invitation by it.
        return await self._removed(repository, path) and was.is_success

    async def put_team(
        self,
        repository: HostRepository,
        team: str,
        permission: Permission,
        *,
        keep_more: bool = False,
    ) -> None:
        """Give a team of the owning organization a permission."""
        path = self._team_path(repository, team)
        if keep_more and _is_more(await self._right_of_team(repository, team), permission):
            return
        await self._until_visible(repository, "PUT", path, {"permission": _ROLES[permission]})

    async def remove_team(self, repository: HostRepository, team: str) -> bool:
        """Take the permission back."""
        path = self._team_path(repository, team)
        was, _ = await self.http.answer("GET", path, missing=True)
        if was.is_success:
            await self.http.call("DELETE", path, missing=True)
        return was.is_success

    async def ssh_host_keys(self) -> list[str]:
        """Return the keys that GitHub publishes; an Enterprise may publish none."""
        published = (await self.http.call("GET", "meta")).get("ssh_keys") or ()
        return [" ".join(str(key).split()[:2]) for key in published]

    async def deploy_keys(self, repository: HostRepository) -> list[DeployKey]:
        """Return the deploy keys of a repository."""
        path = self._path(repository, "/keys")
        return [
            DeployKey(
                str(known["id"]),
                known["title"],
                " ".join(known["key"].split()[:2]),
                known["read_only"],
            )
            async for known in self.http.pages(path, {"per_page": 100})
        ]

    async def add_deploy_key(
        self, repository: HostRepository, title: str, key: str, *, read_only: bool = True
    ) -> str:
        """Add a public SSH key; return the key's ID. The same key with other rights is replaced."""

        async def find() -> Any:
            return await self._find_key(repository, key)

        found = await find()
        if found is not None:
            if found["read_only"] == read_only:
                return str(found["id"])
            await self.remove_deploy_key(repository, str(found["id"]))
        body = {"title": title, "key": key, "read_only": read_only}
        try:
            return str((await self._added(repository, "/keys", body, find))["id"])
        except HostError as error:
            if error.reason is not Reason.NAME_TAKEN:
                raise
            raise HostError(
                Reason.NAME_TAKEN,
                f"{self._host}: another repository has this deploy key",
                remedy="A deploy key serves one repository: generate a key for this one.",
                status=error.status,
            ) from error

    async def remove_deploy_key(self, repository: HostRepository, key_id: str) -> bool:
        """Delete a deploy key."""
        return await self._removed(repository, f"/keys/{segment(key_id)}")

    async def add_webhook(self, repository: HostRepository, webhook: WebhookSpec) -> str:
        """Add a webhook; return its ID. One with the same URL is updated."""

        async def find() -> Any:
            path = self._path(repository, "/hooks")
            async for hook in self.http.pages(path, {"per_page": 100}):
                if hook["config"].get("url") == webhook.url:
                    return hook
            return None

        found = await find()
        if found is None:
            body = {"name": "web", **_hook(webhook)}
            return str((await self._added(repository, "/hooks", body, find))["id"])
        await self._written(repository, "PATCH", f"/hooks/{found['id']}", _hook(webhook))
        return str(found["id"])

    async def remove_webhook(self, repository: HostRepository, webhook_id: str) -> bool:
        """Delete a webhook."""
        return await self._removed(repository, f"/hooks/{segment(webhook_id)}")

    async def _right_of(self, repository: HostRepository, path: str) -> str:
        """Return the role of a collaborator, or "none"."""
        was, _ = await self.http.answer("GET", self._path(repository, path), missing=True)
        if not was.is_success:
            return "none"
        found = await self.http.call("GET", self._path(repository, f"{path}/permission"))
        # A role that an organization has defined has the permission that it is based on.
        return next(
            (one for one in (found.get("role_name"), found["permission"]) if one in _ORDER), "none"
        )

    async def _right_of_team(self, repository: HostRepository, team: str) -> str:
        """Return the role of a team, or "none"."""
        slug = team.removeprefix("@").rpartition("/")[2]
        names = {role: right.value for right, role in _ROLES.items()}
        path = self._path(repository, "/teams")
        async for known in self.http.pages(path, {"per_page": 100}):
            if known["slug"] == slug:
                return names.get(known["permission"], "none")
        return "none"

    async def _find_key(self, repository: HostRepository, key: str) -> Any:
        async for found in self.http.pages(self._path(repository, "/keys"), {"per_page": 100}):
            # Type and key; GitHub does not keep the comment.
            if found["key"].split()[:2] == key.split()[:2]:
                return found
        return None

    def _team_path(self, repository: HostRepository, team: str) -> str:
        slug = segment(team.removeprefix("@").rpartition("/")[2])
        return f"orgs/{segment(repository.owner)}/teams/{slug}/{self._path(repository)}"


def _is_more(has: str, permission: Permission) -> bool:
    return _ORDER.index(has) > _ORDER.index(permission.value)


def _hook(webhook: WebhookSpec) -> dict[str, Any]:
    config = {"url": webhook.url, "content_type": "json", "insecure_ssl": "0"}
    if webhook.secret:
        config["secret"] = webhook.secret
    return {"active": True, "events": list(webhook.events), "config": config}
