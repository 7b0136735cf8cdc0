"""What belongs to a repository: secrets, variables, keys, webhooks, protection."""

from __future__ import annotations

import re
from typing import Any

from tests.support.githost.answers import Answer, Refused, Request, route
from tests.support.githost.gitea.base import GiteaBase
from tests.support.githost.state import Json

_NAME = re.compile(r"(?!(GITEA|GITHUB|FORGEJO)_)[A-Z_][A-Z0-9_]*")
_TIME = "2026-01-01T00:00:00Z"

_RULE: Json = {
    "approvals_whitelist_teams": [],
    "approvals_whitelist_username": [],
    "block_on_official_review_requests": False,
    "block_on_outdated_branch": False,
    "block_on_rejected_reviews": False,
    "dismiss_stale_approvals": False,
    "enable_approvals_whitelist": False,
    "enable_merge_whitelist": False,
    "enable_push": False,
    "enable_push_whitelist": False,
    "enable_status_check": False,
    "merge_whitelist_teams": [],
    "merge_whitelist_usernames": [],
    "protected_file_patterns": "",
    "push_whitelist_deploy_keys": False,
    "push_whitelist_teams": [],
    "push_whitelist_usernames": [],
    "require_signed_commits": False,
    "required_approvals": 0,
    "status_check_contexts": [],
    "unprotected_file_patterns": "",
    "created_at": _TIME,
    "updated_at": _TIME,
}


class SecretRoutes(GiteaBase):
    """Secrets and variables of Actions, whose names are kept in capitals."""

    @route("PUT /repos/{owner}/{repo}/actions/secrets/{name}")
    def put_secret(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found, key = self.repository(request, owner, repo, "admin"), (None, self._name(name))
        new = key not in found.secrets
        found.secrets[key] = request.json["data"]
        return Answer(201 if new else 204)

    @route("DELETE /repos/{owner}/{repo}/actions/secrets/{name}")
    def remove_secret(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        if found.secrets.pop((None, self._name(name)), None) is None:
            raise Refused(self.error(404, "not found"))
        return Answer(204)

    @route("GET /repos/{owner}/{repo}/actions/variables/{name}")
    def variable(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found, name = self.repository(request, owner, repo, "admin"), self._name(name)
        if (None, name) not in found.variables:
            raise Refused(self.error(404, "not found"))
        data = found.variables[None, name]
        return {"owner_id": 0, "repo_id": found.id, "name": name, "data": data}

    @route("POST /repos/{owner}/{repo}/actions/variables/{name}")
    def add_variable(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found, key = self.repository(request, owner, repo, "admin"), (None, self._name(name))
        if key in found.variables:
            raise Refused(self.error(409, "variable name already exists"))
        found.variables[key] = request.json["value"]
        return Answer(201)

    @route("PUT /repos/{owner}/{repo}/actions/variables/{name}")
    def edit_variable(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found, key = self.repository(request, owner, repo, "admin"), (None, self._name(name))
        if key not in found.variables:
            raise Refused(self.error(404, "not found"))
        found.variables[key] = request.json["value"]
        return Answer(204)

    @route("DELETE /repos/{owner}/{repo}/actions/variables/{name}")
    def remove_variable(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        if found.variables.pop((None, self._name(name)), None) is None:
            raise Refused(self.error(404, "not found"))
        return Answer(204)

    def _name(self, name: str) -> str:
        if not _NAME.fullmatch(name.upper()):
            raise Refused(self.error(400, "invalid variable or secret name"))
        return name.upper()


class KeyRoutes(GiteaBase):
    """Deploy keys and webhooks."""

    @route("GET /repos/{owner}/{repo}/keys")
    def keys(self, request: Request, owner: str, repo: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        return self.page(request, list(found.keys.values()))

    @route("POST /repos/{owner}/{repo}/keys")
    def add_key(self, request: Request, owner: str, repo: str) -> Any:
        found, body = self.repository(request, owner, repo, "admin"), request.json
        if not re.match(r"(ssh-(rsa|ed25519)|ecdsa-\S+) \S+", body["key"]):
            raise Refused(self.error(422, "Invalid key content: not a key"))
        for known in found.keys.values():
            if known["key"].split()[1] == body["key"].split()[1]:
                said = "This key has already been added to this repository"
                raise Refused(self.error(422, said))
            if known["title"] == body["title"]:
                raise Refused(self.error(422, "A key with the same name already exists"))
        number = self.world.next_id()
        found.keys[number] = {
            "id": number,
            "key_id": number,
            "key": body["key"],
            "url": f"{self.url}/api/v1/repos/{found.full_name}/keys/{number}",
            "title": body["title"],
            "fingerprint": "SHA256:none",
            "created_at": _TIME,
            "read_only": body.get("read_only", False),
        }
        return Answer(201, found.keys[number])

    @route("DELETE /repos/{owner}/{repo}/keys/{id}")
    def remove_key(self, request: Request, owner: str, repo: str, id: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        if found.keys.pop(int(id), None) is None:
            raise Refused(self.error(404, "not found"))
        return Answer(204)

    @route("GET /repos/{owner}/{repo}/hooks")
    def hooks(self, request: Request, owner: str, repo: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        return self.page(request, [_hook(hook) for hook in found.hooks.values()])

    @route("POST /repos/{owner}/{repo}/hooks")
    def add_hook(self, request: Request, owner: str, repo: str) -> Any:
        found, body = self.repository(request, owner, repo, "admin"), request.json
        if body["type"] not in ("gitea", "forgejo" if self.forgejo else "gogs"):
            raise Refused(self.error(422, f"Invalid hook type: {body['type']}"))
        for option in ("url", "content_type"):
            if option not in body["config"]:
                raise Refused(self.error(422, f"Missing config option: {option}"))
        if not re.match(r"https?://", body["config"]["url"]):
            raise Refused(self.error(422, "Invalid url"))
        number = self.world.next_id()
        found.hooks[number] = {
            "id": number,
            "type": body["type"],
            "config": dict(body["config"]),
            "events": body.get("events") or ["push"],
            "active": body.get("active", False),
            "branch_filter": "*",
            "authorization_header": "",
            "created_at": _TIME,
            "updated_at": _TIME,
        }
        return Answer(201, _hook(found.hooks[number]))

    @route("PATCH /repos/{owner}/{repo}/hooks/{id}")
    def edit_hook(self, request: Request, owner: str, repo: str, id: str) -> Any:
        hooks, body = self.repository(request, owner, repo, "admin").hooks, request.json
        if int(id) not in hooks:
            raise Refused(self.error(404, "not found"))
        hook = hooks[int(id)]
        hook["config"] |= body.get("config", {})
        hook["events"] = body.get("events") or ["push"]
        hook["active"] = body.get("active", hook["active"])
        return _hook(hook)

    @route("DELETE /repos/{owner}/{repo}/hooks/{id}")
    def remove_hook(self, request: Request, owner: str, repo: str, id: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        if found.hooks.pop(int(id), None) is None:
            raise Refused(self.error(404, "not found"))
        return Answer(204)


def _hook(hook: Json) -> Json:
    """The webhook without its secret, which the host never shows."""
    shown = {name: value for name, value in hook["config"].items() if name != "secret"}
    return {**hook, "config": shown}


class ProtectionRoutes(GiteaBase):
    """Rules for branches."""

    @route("GET /repos/{owner}/{repo}/branch_protections/{name}")
    def protection(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        if name not in found.protections:
            raise Refused(self.error(404, "not found"))
        return found.protections[name]

    @route("POST /repos/{owner}/{repo}/branch_protections")
    def add_protection(self, request: Request, owner: str, repo: str) -> Any:
        found, body = self.repository(request, owner, repo, "admin"), request.json
        name = body.get("rule_name") or body.get("branch_name")
        if not name:
            raise Refused(self.error(422, "both rule_name and branch_name are empty"))
        if name in found.protections:
            raise Refused(self.error(403, "Branch protection already exist"))
        empty = {"apply_to_admins": False} if self.forgejo else {"enable_force_push": False}
        names = {"rule_name": name, "branch_name": name}
        found.protections[name] = {**_RULE, **empty, **self._known(body), **names}
        return Answer(201, found.protections[name])

    @route("PATCH /repos/{owner}/{repo}/branch_protections/{name}")
    def edit_protection(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        if name not in found.protections:
            raise Refused(self.error(404, "not found"))
        found.protections[name] |= self._known(request.json)
        return found.protections[name]

    @route("DELETE /repos/{owner}/{repo}/branch_protections/{name}")
    def remove_protection(self, request: Request, owner: str, repo: str, name: str) -> Any:
        found = self.repository(request, owner, repo, "admin")
        if found.protections.pop(name, None) is None:
            raise Refused(self.error(404, "not found"))
        return Answer(204)

    def _known(self, body: Json) -> Json:
        """Return the fields that this host knows; it ignores the others."""
        known = {*_RULE, "apply_to_admins" if self.forgejo else "enable_force_push"}
        return {name: value for name, value in body.items() if name in known}
