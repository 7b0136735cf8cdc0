"""Collaborators, teams, deploy keys and webhooks of GitHub's surface."""

from __future__ import annotations

from tests.support.githost.answers import Answer, Request, route
from tests.support.githost.github.repositories import GitHubRepositories
from tests.support.githost.github.rights import ROLES
from tests.support.githost.state import Json, Repository, Team, now

_STAMP = "%Y-%m-%dT%H:%M:%SZ"

_NAMES = {role: role for role in ("none", *ROLES)} | {"pull": "read", "push": "write"}


class GitHubPeople(GitHubRepositories):
    """The access of people and teams to a repository."""

    @route("GET /repos/{owner}/{repo}/collaborators/{name}")
    def is_collaborator(self, request: Request, owner: str, repo: str, name: str) -> Answer:
        """Answer 204 for a collaborator, else 404."""
        found = self._administered(request, owner, repo)
        return Answer(204) if name in found.collaborators else self.error(404, "Not Found")

    @route("GET /repos/{owner}/{repo}/collaborators/{name}/permission")
    def right_of(self, request: Request, owner: str, repo: str, name: str) -> Json:
        """Answer a collaborator's role, and the permission that it is based on."""
        role = _NAMES[self._administered(request, owner, repo).collaborators.get(name, "none")]
        plain = {"maintain": "write", "triage": "read"}.get(role, role)
        user = self.person(self.world.accounts[name])
        return {"permission": plain, "role_name": role, "user": user}

    @route("GET /repos/{owner}/{repo}/teams")
    def teams(self, request: Request, owner: str, repo: str) -> list[Json]:
        """Answer the teams with access."""
        found = self._administered(request, owner, repo)
        known = self.world.accounts[owner].teams
        return [
            {"id": known[slug].id, "slug": slug, "name": slug, "permission": role}
            for slug, role in found.teams.items()
        ]

    @route("PUT /repos/{owner}/{repo}/collaborators/{name}")
    def add_collaborator(self, request: Request, owner: str, repo: str, name: str) -> Answer:
        """Give a permission. Members get it at once, others an invitation."""
        found = self._administered(request, owner, repo)
        if name not in self.world.accounts:
            raise self.refuse(404, "Not Found")
        role = request.json.get("permission", "push")
        if role not in ROLES:
            raise self.invalid("Permission is not valid")
        is_member = name in self.world.accounts[owner].members or name in found.collaborators
        if is_member:
            found.collaborators[name] = role
            return Answer(204)
        found.options.setdefault("invited", {})[name] = role
        invitation = {
            "id": self.world.next_id(),
            "invitee": self.person(self.world.accounts[name]),
            "inviter": self.person(self.world.accounts[owner]),
            "permissions": {"pull": "read", "push": "write"}.get(role, role),
        }
        return Answer(201, self.filled("repository-invitation", invitation))

    @route("DELETE /repos/{owner}/{repo}/collaborators/{name}")
    def remove_collaborator(self, request: Request, owner: str, repo: str, name: str) -> Answer:
        """Take a permission back, or an invitation."""
        found = self._administered(request, owner, repo)
        found.collaborators.pop(name, None)
        found.options.get("invited", {}).pop(name, None)
        return Answer(204)

    @route("GET /orgs/{org}/teams/{slug}")
    def team(self, request: Request, org: str, slug: str) -> Json:
        """Answer about a team."""
        team = self._team(request, org, slug)
        return {"id": team.id, "slug": team.slug, "name": team.slug}

    @route("GET /orgs/{org}/teams/{slug}/repos/{owner}/{repo}")
    def team_has(self, request: Request, org: str, slug: str, owner: str, repo: str) -> Answer:
        """Answer 204 if the team has the repository, else 404."""
        team, found = self._team(request, org, slug), self.repository(request, owner, repo)
        return Answer(204) if team.slug in found.teams else self.error(404, "Not Found")

    @route("PUT /orgs/{org}/teams/{slug}/repos/{owner}/{repo}")
    def add_team(self, request: Request, org: str, slug: str, owner: str, repo: str) -> Answer:
        """Give a team a permission."""
        team, found = self._team(request, org, slug), self._administered(request, owner, repo)
        role = request.json.get("permission", "push")
        if role not in ROLES:
            raise self.invalid("Permission is not valid")
        found.teams[team.slug] = role
        return Answer(204)

    @route("DELETE /orgs/{org}/teams/{slug}/repos/{owner}/{repo}")
    def remove_team(self, request: Request, org: str, slug: str, owner: str, repo: str) -> Answer:
        """Take a team's permission back."""
        team, found = self._team(request, org, slug), self._administered(request, owner, repo)
        found.teams.pop(team.slug, None)
        return Answer(204)

    @route("GET /meta")
    def meta(self, request: Request) -> Json:
        """Answer with the keys of the SSH server; an Enterprise may name none."""
        return {"ssh_keys": self.world.options.get("ssh_keys", [])}

    @route("GET /repos/{owner}/{repo}/keys")
    def keys(self, request: Request, owner: str, repo: str) -> list[Json]:
        """Answer the deploy keys."""
        return list(self._administered(request, owner, repo).keys.values())

    @route("POST /repos/{owner}/{repo}/keys")
    def add_key(self, request: Request, owner: str, repo: str) -> Answer:
        """Add a deploy key; a key serves one repository only."""
        found = self._administered(request, owner, repo)
        body = request.json
        key = " ".join(body["key"].split()[:2])
        for other in self.world.repositories.values():
            if any(known["key"] == key for known in other.keys.values()):
                error = {"resource": "PublicKey", "field": "key", "code": "custom"}
                raise self.invalid(error | {"message": "key is already in use"})
        number = self.world.next_id()
        found.keys[number] = self.filled(
            "deploy-key",
            {
                "id": number,
                "key": key,
                "title": body.get("title", ""),
                "read_only": body.get("read_only", False),
                "url": f"{self.url}/keys/{number}",
                "verified": True,
                "created_at": now().strftime(_STAMP),
            },
        )
        return Answer(201, found.keys[number])

    @route("DELETE /repos/{owner}/{repo}/keys/{number}")
    def remove_key(self, request: Request, owner: str, repo: str, number: str) -> Answer:
        """Delete a deploy key."""
        keys = self._administered(request, owner, repo).keys
        return self._dropped(keys, number)

    @route("GET /repos/{owner}/{repo}/hooks")
    def hooks(self, request: Request, owner: str, repo: str) -> list[Json]:
        """Answer the webhooks, with their secrets hidden."""
        found = self._administered(request, owner, repo, permission="repository_hooks")
        return [self._hook_shown(hook) for hook in found.hooks.values()]

    @route("POST /repos/{owner}/{repo}/hooks")
    def add_hook(self, request: Request, owner: str, repo: str) -> Answer:
        """Add a webhook."""
        found = self._administered(request, owner, repo, permission="repository_hooks")
        body = request.json
        for hook in found.hooks.values():
            if (hook["config"]["url"], hook["events"]) == (body["config"]["url"], body["events"]):
                error = {"resource": "Hook", "code": "custom"}
                raise self.invalid(error | {"message": "Hook already exists on this repository"})
        number = self.world.next_id()
        found.hooks[number] = {"id": number, **body}
        return Answer(201, self._hook_shown(found.hooks[number]))

    @route("PATCH /repos/{owner}/{repo}/hooks/{number}")
    def change_hook(self, request: Request, owner: str, repo: str, number: str) -> Json:
        """Change a webhook."""
        found = self._administered(request, owner, repo, permission="repository_hooks")
        if int(number) not in found.hooks:
            raise self.refuse(404, "Not Found")
        found.hooks[int(number)].update(request.json)
        return self._hook_shown(found.hooks[int(number)])

    @route("DELETE /repos/{owner}/{repo}/hooks/{number}")
    def remove_hook(self, request: Request, owner: str, repo: str, number: str) -> Answer:
        """Delete a webhook."""
        found = self._administered(request, owner, repo, permission="repository_hooks")
        return self._dropped(found.hooks, number)

    def _administered(
        self, request: Request, owner: str, repo: str, permission: str = "administration"
    ) -> Repository:
        return self.repository(request, owner, repo, role="admin", permission=permission)

    def _team(self, request: Request, org: str, slug: str) -> Team:
        request.options["accepted"] = "admin:org, repo"
        found = self.organization(request, org).teams.get(slug)
        if found is None:
            raise self.refuse(404, "Not Found")
        return found

    def _dropped(self, known: dict[int, Json], number: str) -> Answer:
        if known.pop(int(number), None) is None:
            raise self.refuse(404, "Not Found")
        return Answer(204)

    def _hook_shown(self, hook: Json) -> Json:
        config = dict(hook["config"])
        if "secret" in config:
            config["secret"] = "********"
        url = f"{self.url}/hooks/{hook['id']}"
        values = {
            "id": hook["id"],
            "type": "Repository",
            "name": "web",
            "active": hook.get("active", True),
            "events": hook["events"],
            "config": config,
            "url": url,
        }
        return self.filled("hook", values)
