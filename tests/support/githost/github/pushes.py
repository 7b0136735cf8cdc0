"""What GitHub answers to Git."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.support.githost.answers import Answer
from tests.support.githost.github.apps import GitHubApps
from tests.support.githost.github.rights import ROLES
from tests.support.githost.state import Repository, Token
from tests.support.githost.surface import PushRefusal, RefUpdate

_SECRET = re.compile(rb"AKIA[0-9A-Z]{16}|ghp_[0-9A-Za-z]{36}")
_WORKFLOWS = ".github/workflows/"
_RULES = "push declined due to repository rule violations"


class GitHubSurface(GitHubApps):
    """All of GitHub's surface."""

    def git_access(
        self, headers: Mapping[str, str], full_name: str, *, write: bool
    ) -> Repository | Answer:
        """Return the repository that Git may read or write, else GitHub's answer."""
        token = self.token_of(headers)
        found = self.world.read(full_name)
        if found is None and full_name.casefold() in self.world.moved:
            found = self.world.repositories[self.world.moved[full_name.casefold()]]
        if token is None or not token.valid:
            if found and found.visibility == "public" and not write and token is None:
                return found
            return Answer(401, "Bad credentials", {"WWW-Authenticate": 'Basic realm="GitHub"'})
        if found is None:
            return Answer(404, "Repository not found.")
        role = self.role_of(token, found)
        if found.visibility != "public" and (role is None or not _may_see(token)):
            return Answer(404, "Repository not found.")
        owner = self.world.accounts[found.owner]
        if owner.single_sign_on and owner.name not in token.authorized:
            return Answer(403, f"The '{owner.name}' organization has enabled or enforced SAML SSO.")
        if write and (role is None or ROLES.index(role) < ROLES.index("push") or _narrow(token)):
            who = token.account
            return Answer(403, f"Permission to {found.full_name}.git denied to {who}.")
        if write and found.archived:
            return Answer(403, "This repository was archived so it is read-only.")
        return found

    def refuse_push(
        self, token: Token | None, repository: Repository, update: RefUpdate
    ) -> PushRefusal | None:
        """Return why GitHub refuses the push, with its texts."""
        return (
            self._too_large(update)
            or _without_workflow_scope(token, update)
            or _with_secret(repository, self.url, update)
            or _against_rulesets(repository, update)
            or _against_protection(repository, update)
        )

    def after_push(self, repository: Repository) -> None:
        """Make the first branch the default one."""
        branches = repository.branches()
        if branches and repository.default_branch not in branches:
            repository.default_branch = next(iter(branches))

    def _too_large(self, update: RefUpdate) -> PushRefusal | None:
        largest = self.world.largest_file
        for path, content in update.files.items():
            if len(content) > largest:
                size, limit = len(content) / (1 << 20), largest / (1 << 20)
                return PushRefusal(
                    "pre-receive hook declined",
                    (
                        f"error: File {path} is {size:.2f} MB; this exceeds GitHub's file size "
                        f"limit of {limit:.2f} MB",
                        "error: GH001: Large files detected. You may want to try Git Large File "
                        "Storage - https://git-lfs.github.com.",
                    ),
                )
        return None


def _may_see(token: Token) -> bool:
    if token.kind == "personal":
        return token.scopes is None or "repo" in token.scopes
    return token.permissions.get("contents", "") in ("read", "write")


def _narrow(token: Token) -> bool:
    if token.kind == "personal":
        return token.scopes is not None and not token.scopes & {"repo", "public_repo"}
    return token.permissions.get("contents") != "write"


def _without_workflow_scope(token: Token | None, update: RefUpdate) -> PushRefusal | None:
    path = next((path for path in sorted(update.files) if path.startswith(_WORKFLOWS)), None)
    if path is None or token is None:
        return None
    if token.kind == "personal":
        if token.scopes is None or "workflow" in token.scopes:
            return None
        whom, right = "a Personal Access Token", "`workflow` scope"
    else:
        if token.permissions.get("workflows") == "write":
            return None
        whom, right = "a GitHub App", "`workflows` permission"
    return PushRefusal(
        f"refusing to allow {whom} to create or update workflow `{path}` without {right}"
    )


def _with_secret(repository: Repository, url: str, update: RefUpdate) -> PushRefusal | None:
    for path, content in update.files.items():
        found = _SECRET.search(content)
        if found is None:
            continue
        line = content.count(b"\n", 0, found.start()) + 1
        return PushRefusal(
            _RULES,
            (
                f"error: GH013: Repository rule violations found for {update.ref}.",
                "",
                "- GITHUB PUSH PROTECTION",
                "  ————————————————————————————————————————",
                "    Resolve the following violations before pushing again",
                "",
                "    - Push cannot contain secrets",
                "",
                "      —— Amazon AWS Access Key ID ——————————",
                "       locations:",
                f"         - commit: {update.new}",
                f"           path: {path}:{line}",
                "",
                f"       {url}/{repository.full_name}/security/secret-scanning/unblock-secret/2",
            ),
        )
    return None


def _against_rulesets(repository: Repository, update: RefUpdate) -> PushRefusal | None:
    lines = []
    for rules in repository.rulesets.values():
        if update.ref not in rules["conditions"]["ref_name"]["include"]:
            continue
        for rule in rules["rules"]:
            lines += _broken(rule, update)
    if not lines:
        return None
    head = f"error: GH013: Repository rule violations found for {update.ref}."
    return PushRefusal(_RULES, (head, "", *lines))


def _broken(rule: dict[str, object], update: RefUpdate) -> list[str]:
    kind, parameters = rule["type"], rule.get("parameters")
    if kind == "deletion" and update.new is None:
        return ["- Cannot delete this branch"]
    if kind == "non_fast_forward" and update.forced:
        return ["- Cannot force-push to this branch"]
    if update.new is None or not isinstance(parameters, dict):
        return []
    if kind == "pull_request":
        return ["- Changes must be made through a pull request."]
    return [
        f'- Required status check "{check["context"]}" is expected.'
        for check in parameters.get("required_status_checks", ())
    ]


def _against_protection(repository: Repository, update: RefUpdate) -> PushRefusal | None:
    rules = repository.protections.get(update.ref.removeprefix("refs/heads/"))
    if rules is None:
        return None
    lines = []
    if update.forced and not rules.get("allow_force_pushes"):
        lines.append("error: Cannot force-push to a protected branch")
    if rules.get("required_pull_request_reviews") is not None:
        lines.append("error: Changes must be made through a pull request.")
    if checks := (rules.get("required_status_checks") or {}).get("contexts"):
        lines.append(f"error: {len(checks)} of {len(checks)} required status checks are expected.")
    if not lines:
        return None
    head = f"error: GH006: Protected branch update failed for {update.ref}."
    return PushRefusal("protected branch hook declined", (head, *lines))
