"""Accounts and repositories of GitHub's surface."""

from __future__ import annotations

import re
from typing import Any

from tests.support.githost.answers import Answer, Request, route
from tests.support.githost.github.rights import GitHubRights
from tests.support.githost.state import Account, Json, Repository

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
_TAKEN = {
    "resource": "Repository",
    "code": "custom",
    "field": "name",
    "message": "name already exists on this account",
}


class GitHubRepositories(GitHubRights):
    """Accounts and repositories."""

    @route("GET /user")
    def user(self, request: Request) -> Json:
        """Answer who the token belongs to."""
        if request.token is None or request.token.kind == "installation":
            raise self.refuse(403, "Resource not accessible by integration")
        account = self.world.accounts[request.account]
        return self.filled("public-user", self.person(account) | {"user_view_type": "public"})

    @route("GET /users/{name}")
    def a_user(self, request: Request, name: str) -> Json:
        """Answer about a person."""
        if name not in self.world.accounts:
            raise self.refuse(404, "Not Found")
        return self.person(self.world.accounts[name])

    @route("GET /orgs/{org}")
    def an_organization(self, request: Request, org: str) -> Json:
        """Answer about an organization."""
        account = self.organization(request, org)
        return self.filled("organization-full", self.person(account) | {"type": "Organization"})

    @route("POST /user/repos")
    def create_own(self, request: Request) -> Answer:
        """Create a repository of the token's account."""
        request.options["accepted"] = "public_repo, repo"
        self._check_creation(request)
        return self._create(request, request.account)

    @route("POST /orgs/{org}/repos")
    def create_in_organization(self, request: Request, org: str) -> Answer:
        """Create a repository of an organization."""
        request.options["accepted"] = "public_repo, repo"
        account = self.organization(request, org)
        token = request.token
        assert token is not None
        if token.kind == "installation":
            if token.options["account"] != org:
                raise self.refuse(404, "Not Found")
            self._check_permission(token, "administration", write=True)
        elif request.account not in account.members:
            raise self.refuse(404, "Not Found")
        elif account.members[request.account] != "owner" and not account.options.get(
            "members_may_create"
        ):
            raise self.refuse(
                403,
                "You need admin access to the organization before adding a repository to it.",
            )
        self._check_creation(request)
        return self._create(request, org)

    @route("GET /repos/{owner}/{repo}")
    def get_repository(self, request: Request, owner: str, repo: str) -> Json:
        """Answer about a repository."""
        return self.shown(self.repository(request, owner, repo))

    @route("PATCH /repos/{owner}/{repo}")
    def change_repository(self, request: Request, owner: str, repo: str) -> Json:
        """Change a repository, or rename it."""
        found = self.repository(request, owner, repo, role="admin", permission="administration")
        body = request.json
        if "description" in body:
            self._check_description(body["description"])
            found.description = body["description"]
        if "archived" in body:
            found.archived = body["archived"]
        if body.get("name", found.name) != found.name:
            self.world.rename(found, found.owner, body["name"])
        if "default_branch" in body:
            if body["default_branch"] not in found.branches():
                raise self.invalid(message="Validation Failed")
            found.default_branch = body["default_branch"]
        return self.shown(found)

    @route("DELETE /repos/{owner}/{repo}")
    def delete_repository(self, request: Request, owner: str, repo: str) -> Answer:
        """Delete a repository."""
        found = self.repository(
            request,
            owner,
            repo,
            role="admin",
            permission="administration",
            scopes="delete_repo",
        )
        self.world.delete(found)
        return Answer(204)

    @route("GET /repos/{owner}/{repo}/topics")
    def topics(self, request: Request, owner: str, repo: str) -> Json:
        """Answer the topics."""
        return {"names": self.repository(request, owner, repo).topics}

    @route("PUT /repos/{owner}/{repo}/topics")
    def set_topics(self, request: Request, owner: str, repo: str) -> Json:
        """Replace the topics."""
        found = self.repository(request, owner, repo, role="admin", permission="administration")
        names = request.json["names"]
        if len(names) > 20 or not all(_TOPIC.fullmatch(name) for name in names):
            raise self.invalid("Topics must start with a lowercase letter or number")
        found.topics = list(names)
        return {"names": found.topics}

    @route("GET /repos/{owner}/{repo}/branches")
    def branches(self, request: Request, owner: str, repo: str) -> list[Json]:
        """Answer the branches."""
        found = self.repository(request, owner, repo, permission="contents")
        return [
            self.filled(
                "short-branch",
                {"name": name, "commit": {"sha": commit, "url": self.url}, "protected": False},
            )
            for name, commit in found.branches().items()
        ]

    @route("GET /repos/{owner}/{repo}/git/ref/{ref*}")
    def ref(self, request: Request, owner: str, repo: str, ref: str) -> Json:
        """Answer a branch's newest commit."""
        found = self.repository(request, owner, repo, permission="contents")
        branches = found.branches()
        if not branches:
            raise self.refuse(409, "Git Repository is empty.")
        name = ref.removeprefix("heads/")
        if name not in branches:
            raise self.refuse(404, "Not Found")
        target = {"type": "commit", "sha": branches[name], "url": f"{self.url}/commit"}
        values = {"ref": f"refs/{ref}", "url": f"{self.url}/ref", "object": target}
        return self.filled("git-ref", values)

    def person(self, account: Account) -> Json:
        """Return an account as GitHub shows it in other objects."""
        values: Json = {
            "login": account.name,
            "id": account.id,
            "type": "Organization" if account.organization else "User",
            "html_url": f"{self.url}/{account.name}",
        }
        return self.filled("simple-user", values)

    def shown(self, found: Repository) -> Json:
        """Return a repository as GitHub shows it."""
        web = f"{self.url}/{found.full_name}"
        values: Json = {
            "id": found.id,
            "name": found.name,
            "full_name": found.full_name,
            "owner": self.person(self.world.accounts[found.owner]),
            "private": found.visibility != "public",
            "visibility": found.visibility,
            "description": found.description or None,
            "topics": found.topics,
            "archived": found.archived,
            "default_branch": found.default_branch,
            "html_url": web,
            "clone_url": f"{web}.git",
            "ssh_url": found.ssh_url,
            "url": f"{self.url}{self.api}/repos/{found.full_name}",
            "size": 0,
            "created_at": found.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return self.filled("full-repository", values)

    def _check_creation(self, request: Request) -> None:
        token = request.token
        if token is None or token.scopes is None or token.kind != "personal":
            return
        wanted = {"repo"} | (set() if request.json.get("private") else {"public_repo"})
        if not token.scopes & wanted:
            request.options["accepted"] = "repo"
            raise self.refuse(404, "Not Found")

    def _create(self, request: Request, owner: str) -> Answer:
        body = request.json
        name = body.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise self.invalid({"resource": "Repository", "field": "name", "code": "invalid"})
        self._check_description(body.get("description") or "")
        if self.world.find(f"{owner}/{name}") is not None:
            raise self.invalid(_TAKEN, message="Repository creation failed.")
        visibility = body.get("visibility") or ("private" if body.get("private") else "public")
        if visibility == "internal" and not self.world.accounts[owner].options.get("enterprise"):
            text = "Only organizations of an enterprise have internal repositories"
            raise self.invalid({"resource": "Repository", "code": "custom", "message": text})
        self.world.moved.pop(f"{owner}/{name}".casefold(), None)
        made = self.world.add_repository(
            owner, name, description=body.get("description") or "", visibility=visibility
        )
        return Answer(201, self.shown(made))

    def _check_description(self, text: Any) -> None:
        if len(text) > 350 or any(ord(char) < 32 for char in text):
            text = "description control characters are not allowed, or too long"
            raise self.invalid({"resource": "Repository", "code": "custom", "message": text})
