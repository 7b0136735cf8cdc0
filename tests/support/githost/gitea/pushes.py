"""Git over HTTPS at Gitea and Forgejo."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.githost.answers import Answer
from tests.support.githost.gitea.base import GiteaBase
from tests.support.githost.state import Repository, Token
from tests.support.githost.surface import PushRefusal, RefUpdate

_ARCHIVED = (
    "This repo is archived. You can view files and clone it, but cannot push or open "
    "issues/pull-requests."
)


class Pushes(GiteaBase):
    """Who may fetch and push what; `world.options`: `push_creates`."""

    def git_access(
        self, headers: Mapping[str, str], full_name: str, *, write: bool
    ) -> Repository | Answer:
        """Return the repository; a push to one that does not exist may create it."""
        token = self.token_of(headers)
        given = "authorization" in headers
        if (given and (token is None or not token.valid)) or (write and token is None):
            realm = {"WWW-Authenticate": 'Basic realm="Gitea"', "Content-Type": "text/plain"}
            return Answer(401, "Unauthorized", realm)
        enough = {"all", "write:repository"} | (set() if write else {"read:repository"})
        if token is not None and token.scopes is not None and not enough & token.scopes:
            return _refused(403, "User permission denied")
        found = self.world.read(full_name) or self._moved(full_name)
        if found is None and write and token is not None:
            return self._pushed_to_nothing(full_name)
        if found is None or not self.may(token, found, "read"):
            return _refused(404, "Repository not found")
        if write and found.archived:
            return _refused(403, _ARCHIVED)
        if write and not self.may(token, found, "write"):
            return _refused(403, "User permission denied for writing.")
        return found

    def _moved(self, full_name: str) -> Repository | None:
        number = self.world.moved.get(full_name.casefold())
        return self.world.repositories[number] if number is not None else None

    def _pushed_to_nothing(self, full_name: str) -> Repository | Answer:
        owner, _, name = full_name.partition("/")
        account = self.world.accounts.get(owner)
        if account is None or self.world.find(full_name) is not None:
            return _refused(404, "Repository not found")
        if not self.world.options.get("push_creates"):
            who = "organizations" if account.organization else "users"
            return _refused(403, f"Push to create is not enabled for {who}.")
        return self.world.add_repository(owner, name)

    def refuse_push(
        self, token: Token | None, repository: Repository, update: RefUpdate
    ) -> PushRefusal | None:
        """Refuse what the rules for branches forbid."""
        branch = update.ref.removeprefix("refs/heads/")
        rule = repository.protections.get(branch)
        if rule is None:
            return None
        if update.forced and not rule.get("enable_force_push"):
            return _declined(f"branch {branch} is protected from force push")
        if not rule["enable_push"]:
            return _declined(f"Not allowed to push to protected branch {branch}")
        return None

    def after_push(self, repository: Repository) -> None:
        """Make the first branch the default branch where the default branch is not there."""
        branches = repository.branches()
        if branches and repository.default_branch not in branches:
            repository.default_branch = next(iter(branches))


def _refused(status: int, text: str) -> Answer:
    return Answer(status, text, {"Content-Type": "text/plain"})


def _declined(line: str) -> PushRefusal:
    return PushRefusal("pre-receive hook declined", (f"Gitea: {line}",))
