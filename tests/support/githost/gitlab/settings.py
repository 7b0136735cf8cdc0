"""What belongs to a project: variables, environments, keys, webhooks, protection."""

from __future__ import annotations

import re
from typing import Any

from tests.support.githost.answers import Answer, Refused, Request, route
from tests.support.githost.gitlab.base import DEVELOPER, MAINTAINER, GitLabBase
from tests.support.githost.gitlab.entities import level_json
from tests.support.githost.state import Json, Repository

_MASKABLE = re.compile(r"\S{8,}")
_TAKEN = "has already been taken"
_HOOK_EVENTS = (
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


class VariableRoutes(GitLabBase):
    """CI/CD variables; the masked ones are the world's `secrets`."""

    @route("GET /projects/{id}/variables")
    def variables(self, request: Request, id: str) -> Any:
        repository = self.project(request, id, MAINTAINER)
        return self.page(request, list(_variables(repository).values()))

    @route("POST /projects/{id}/variables")
    def add_variable(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, MAINTAINER), request.json
        self.needed(body, "key", "value")
        if not re.fullmatch(r"[a-zA-Z0-9_]{1,255}", body["key"]):
            raise self.invalid(key="can contain only letters, digits and '_'.")
        scope = body.get("environment_scope", "*")
        if (scope, body["key"]) in _variables(repository):
            raise self.invalid(key=f"({body['key']}) {_TAKEN}")
        made = {"variable_type": "env_var", "description": None, "protected": False, "raw": False}
        hidden = bool(body.get("masked_and_hidden"))
        made |= {"masked": False, "hidden": hidden, "environment_scope": scope, **body}
        made.pop("masked_and_hidden", None)
        self._store(repository, {**made, "masked": made["masked"] or hidden})
        return Answer(201, _variables(repository)[scope, body["key"]])

    @route("GET /projects/{id}/variables/{key}")
    def one_variable(self, request: Request, id: str, key: str) -> Any:
        repository = self.project(request, id, MAINTAINER)
        return self._variable(repository, key, request.query.get("filter[environment_scope]"))

    @route("PUT /projects/{id}/variables/{key}")
    def edit_variable(self, request: Request, id: str, key: str) -> Any:
        repository, body = self.project(request, id, MAINTAINER), request.json
        scope = body.pop("filter", {}).get("environment_scope")
        old = self._variable(repository, key, scope)
        self._store(repository, {**old, **body})
        return _variables(repository)[old["environment_scope"], key]

    @route("DELETE /projects/{id}/variables/{key}")
    def remove_variable(self, request: Request, id: str, key: str) -> Any:
        repository = self.project(request, id, MAINTAINER)
        found = self._variable(repository, key, request.query.get("filter[environment_scope]"))
        scope = found["environment_scope"]
        del _variables(repository)[scope, key]
        _forget(repository, scope, key)
        return Answer(204)

    def _variable(self, repository: Repository, key: str, scope: str | None) -> Json:
        found = [
            variable
            for (of, name), variable in _variables(repository).items()
            if name == key and scope in (None, of)
        ]
        if len(found) > 1:
            raise Refused(
                self.error(
                    409,
                    "There are multiple variables with provided parameters. Please use "
                    "'filter[environment_scope]'",
                )
            )
        if not found:
            raise Refused(self.error(404, "404 Variable Not Found"))
        return found[0]

    def _store(self, repository: Repository, variable: Json) -> None:
        if variable["masked"] and not _MASKABLE.fullmatch(variable["value"]):
            raise self.invalid(value="is invalid")
        scope, key = variable["environment_scope"], variable["key"]
        _variables(repository)[scope, key] = variable
        _forget(repository, scope, key)
        place = repository.secrets if variable["masked"] else repository.variables
        place[None if scope == "*" else scope, key] = variable["value"]


def _variables(repository: Repository) -> dict[tuple[str, str], Json]:
    found: dict[tuple[str, str], Json] = repository.options.setdefault("variables", {})
    return found


def _forget(repository: Repository, scope: str, key: str) -> None:
    for place in (repository.secrets, repository.variables):
        place.pop((None if scope == "*" else scope, key), None)


class EnvironmentRoutes(GitLabBase):
    """Environments; protected ones need Premium."""

    @route("GET /projects/{id}/environments")
    def environments(self, request: Request, id: str) -> Any:
        repository = self.project(request, id)
        name = request.query.get("name")
        found = [one for one in repository.environments.values() if name in (None, one["name"])]
        return self.page(request, [self._environment_json(one) for one in found])

    @route("POST /projects/{id}/environments")
    def add_environment(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, DEVELOPER), request.json
        self.needed(body, "name")
        if body["name"] in repository.environments:
            raise self.invalid(name=_TAKEN, slug=_TAKEN)
        made = {"id": self.world.next_id(), "name": body["name"], "state": "available"}
        repository.environments[body["name"]] = made
        return Answer(201, self._environment_json(made))

    @route("POST /projects/{id}/environments/{environment_id}/stop")
    def stop_environment(self, request: Request, id: str, environment_id: str) -> Any:
        repository = self.project(request, id, DEVELOPER)
        found = self._environment(repository, environment_id)
        found["state"] = "stopped"
        return Answer(200, self._environment_json(found))

    @route("DELETE /projects/{id}/environments/{environment_id}")
    def remove_environment(self, request: Request, id: str, environment_id: str) -> Any:
        repository = self.project(request, id, DEVELOPER)
        found = self._environment(repository, environment_id)
        if found["state"] != "stopped":
            raise Refused(self.error(403, "403 Forbidden"))
        del repository.environments[found["name"]]
        return Answer(204)

    def _environment(self, repository: Repository, number: str) -> Json:
        for found in repository.environments.values():
            if str(found["id"]) == number:
                return found
        raise Refused(self.error(404, "404 Not found"))

    def _environment_json(self, environment: Json) -> Json:
        return {
            "id": environment["id"],
            "name": environment["name"],
            "slug": environment["name"],
            "external_url": None,
            "created_at": "2026-01-01T00:00:00.000Z",
            "updated_at": "2026-01-01T00:00:00.000Z",
            "tier": "other",
            "state": environment["state"],
        }

    @route("POST /projects/{id}/protected_environments")
    def protect_environment(self, request: Request, id: str) -> Any:
        repository, body = self._protecting(request, id), request.json
        self.needed(body, "name", "deploy_access_levels")
        known = repository.options.setdefault("protected_environments", {})
        if body["name"] in known:
            raise Refused(self.error(409, f"Protected environment '{body['name']}' already exists"))
        known[body["name"]] = {
            "name": body["name"],
            "deploy_access_levels": [
                {
                    **level_json(self.world.next_id(), one["access_level"]),
                    "group_inheritance_type": 0,
                }
                for one in body["deploy_access_levels"]
            ],
            "required_approval_count": 0,
            "approval_rules": [self._approval_rule(one) for one in body.get("approval_rules", ())],
        }
        return Answer(201, known[body["name"]])

    @route("GET /projects/{id}/protected_environments/{name}")
    def protected_environment(self, request: Request, id: str, name: str) -> Any:
        known = self._protecting(request, id).options.setdefault("protected_environments", {})
        if name not in known:
            raise Refused(self.error(404, "404 Not found"))
        return known[name]

    @route("PUT /projects/{id}/protected_environments/{name}")
    def edit_protection(self, request: Request, id: str, name: str) -> Any:
        """Add the rules without an ID to those that are there, and change the others."""
        found = self.protected_environment(request, id, name)
        for one in request.json.get("approval_rules", ()):
            rule = next(
                (rule for rule in found["approval_rules"] if rule["id"] == one.get("id")), None
            )
            if rule is None:
                found["approval_rules"].append(self._approval_rule(one))
            else:
                rule["required_approvals"] = one["required_approvals"]
        return found

    def _approval_rule(self, given: Json) -> Json:
        return {
            "id": self.world.next_id(),
            "user_id": given.get("user_id"),
            "group_id": given.get("group_id"),
            "access_level": None,
            "access_level_description": "someone",
            "required_approvals": given.get("required_approvals", 1),
            "group_inheritance_type": 0,
        }

    @route("DELETE /projects/{id}/protected_environments/{name}")
    def unprotect_environment(self, request: Request, id: str, name: str) -> Any:
        known = self._protecting(request, id).options.setdefault("protected_environments", {})
        if known.pop(name, None) is None:
            raise Refused(self.error(404, "404 Not found"))
        return Answer(204)

    def _protecting(self, request: Request, id: str) -> Repository:
        repository = self.project(request, id, MAINTAINER)
        if not self.premium(repository):
            raise Refused(self.error(404, "404 Not Found"))
        return repository


class KeyRoutes(GitLabBase):
    """Deploy keys and webhooks."""

    @route("GET /projects/{id}/deploy_keys")
    def deploy_keys(self, request: Request, id: str) -> Any:
        return self.page(request, list(self.project(request, id, MAINTAINER).keys.values()))

    @route("POST /projects/{id}/deploy_keys")
    def add_deploy_key(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, MAINTAINER), request.json
        self.needed(body, "key", "title")
        if not re.match(r"(ssh-(rsa|ed25519)|ecdsa-\S+) \S+", body["key"]):
            raise self.invalid(key="is invalid")
        made = {
            "id": self.world.next_id(),
            "title": body["title"],
            "created_at": "2026-01-01T00:00:00.000Z",
            "expires_at": None,
            "key": body["key"],
            "fingerprint": None,
            "fingerprint_sha256": None,
            "can_push": body.get("can_push", False),
        }
        repository.keys[made["id"]] = made
        return Answer(201, made)

    @route("PUT /projects/{id}/deploy_keys/{key_id}")
    def edit_deploy_key(self, request: Request, id: str, key_id: str) -> Any:
        found = self._one(self.project(request, id, MAINTAINER).keys, key_id, "Deploy Key")
        found.update(request.json)
        return found

    @route("DELETE /projects/{id}/deploy_keys/{key_id}")
    def remove_deploy_key(self, request: Request, id: str, key_id: str) -> Any:
        keys = self.project(request, id, MAINTAINER).keys
        del keys[self._one(keys, key_id, "Deploy Key")["id"]]
        return Answer(204)

    @route("GET /projects/{id}/hooks")
    def hooks(self, request: Request, id: str) -> Any:
        hooks = self.project(request, id, MAINTAINER).hooks.values()
        return self.page(request, [_hook(hook) for hook in hooks])

    @route("POST /projects/{id}/hooks")
    def add_hook(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, MAINTAINER), request.json
        self.needed(body, "url")
        if not re.match(r"https?://", body["url"]):
            raise Refused(self.error(422, "Invalid url given"))
        events = {f"{event}_events": event == "push" for event in _HOOK_EVENTS}
        number = self.world.next_id()
        made = {"id": number, "project_id": str(repository.id), **events, **body}
        repository.hooks[number] = made
        return Answer(201, _hook(made))

    @route("PUT /projects/{id}/hooks/{hook_id}")
    def edit_hook(self, request: Request, id: str, hook_id: str) -> Any:
        found = self._one(self.project(request, id, MAINTAINER).hooks, hook_id, "Hook")
        found.update(request.json)
        return _hook(found)

    @route("DELETE /projects/{id}/hooks/{hook_id}")
    def remove_hook(self, request: Request, id: str, hook_id: str) -> Any:
        hooks = self.project(request, id, MAINTAINER).hooks
        del hooks[self._one(hooks, hook_id, "Hook")["id"]]
        return Answer(204)

    def _one(self, objects: dict[int, Json], number: str, what: str) -> Json:
        found = objects.get(int(number))
        if found is None:
            raise Refused(self.error(404, f"404 {what} Not Found"))
        return found


def _hook(hook: Json) -> Json:
    """The webhook without its secret, which GitLab never shows."""
    return {name: value for name, value in hook.items() if name != "token"}


class ProtectionRoutes(GitLabBase):
    """Protected branches, and approvals of merge requests."""

    @route("GET /projects/{id}/protected_branches")
    def protected_branches(self, request: Request, id: str) -> Any:
        return self.page(request, list(self.project(request, id).protections.values()))

    @route("GET /projects/{id}/protected_branches/{name}")
    def protected_branch(self, request: Request, id: str, name: str) -> Any:
        return self._protection(self.project(request, id), name)

    @route("POST /projects/{id}/protected_branches")
    def protect_branch(self, request: Request, id: str) -> Any:
        repository, body = self.project(request, id, MAINTAINER), request.json
        self.needed(body, "name")
        if body["name"] in repository.protections:
            raise Refused(self.error(409, f"Protected branch '{body['name']}' already exists"))
        made = self.protection(
            body["name"],
            body.get("push_access_level", MAINTAINER),
            body.get("merge_access_level", MAINTAINER),
            allow_force_push=body.get("allow_force_push", False),
        )
        repository.protections[body["name"]] = made
        return Answer(201, made)

    @route("DELETE /projects/{id}/protected_branches/{name}")
    def unprotect_branch(self, request: Request, id: str, name: str) -> Any:
        repository = self.project(request, id, MAINTAINER)
        self._protection(repository, name)
        del repository.protections[name]
        return Answer(204)

    def protection(
        self, name: str, push: int, merge: int, *, allow_force_push: bool = False
    ) -> Json:
        """Return a protected branch."""
        return {
            "id": self.world.next_id(),
            "name": name,
            "push_access_levels": [level_json(self.world.next_id(), push)],
            "merge_access_levels": [level_json(self.world.next_id(), merge)],
            "unprotect_access_levels": [],
            "allow_force_push": allow_force_push,
            "code_owner_approval_required": False,
            "inherited": False,
        }

    def _protection(self, repository: Repository, name: str) -> Json:
        if name not in repository.protections:
            raise Refused(self.error(404, "404 Not found"))
        return repository.protections[name]

    @route("GET /projects/{id}/approval_rules")
    def approval_rules(self, request: Request, id: str) -> Any:
        return self.page(request, list(self._rules(request, id).values()))

    @route("POST /projects/{id}/approval_rules")
    def add_approval_rule(self, request: Request, id: str) -> Any:
        rules, body = self._rules(request, id), request.json
        if body.get("rule_type") == "any_approver" and rules:
            raise self.invalid(rule_type="any-approver for the project already exists")
        made = {"id": self.world.next_id(), "rule_type": "regular", **body}
        rules[made["id"]] = made
        return Answer(201, made)

    @route("PUT /projects/{id}/approval_rules/{rule_id}")
    def edit_approval_rule(self, request: Request, id: str, rule_id: str) -> Any:
        rule = self._rules(request, id)[int(rule_id)]
        rule.update(request.json)
        return rule

    def _rules(self, request: Request, id: str) -> dict[int, Json]:
        repository = self.project(request, id, MAINTAINER)
        if not self.premium(repository):
            raise Refused(self.error(404, "404 Not Found"))
        found: dict[int, Json] = repository.options.setdefault("approval_rules", {})
        return found
