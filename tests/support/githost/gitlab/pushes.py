"""Git over HTTPS at GitLab."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.githost.answers import Answer
from tests.support.githost.gitlab.base import DEVELOPER, MAINTAINER
from tests.support.githost.gitlab.settings import ProtectionRoutes
from tests.support.githost.state import Repository, Token
from tests.support.githost.surface import PushRefusal, RefUpdate

_DENIED = "HTTP Basic: Access denied. If a password was provided, it is invalid or expired."
_NOT_FOUND = (
    "The project you were looking for could not be found or you don't have permission to view it."
)


class Pushes(ProtectionRoutes):
    """Who may fetch and push what."""

    def git_access(
        self, headers: Mapping[str, str], full_name: str, *, write: bool
    ) -> Repository | Answer:
        """Return the project; a push to one that does not exist creates it, where allowed."""
        token = self.token_of(headers)
        if token is None or not token.valid:
            if token is None and not write and "authorization" not in headers:
                found = self.lookup(full_name)
                if found is not None and found.visibility == "public":
                    return found
            return Answer(
                401,
                _DENIED,
                {"WWW-Authenticate": 'Basic realm="GitLab"', "Content-Type": "text/plain"},
            )
        enough = {"api", "write_repository"} | (set() if write else {"read_repository"})
        if token.scopes is not None and not enough & token.scopes:
            return _refused(403, "You are not allowed to access this project with this token.")
        found = self.lookup(full_name)
        if found is None and write:
            found = self._created(token, full_name)
        if found is None or not self.may_see(token, found):
            return _refused(404, _NOT_FOUND)
        if write and found.archived:
            return _refused(403, "You can't push code to an archived project.")
        if write and self.role(token, found) < DEVELOPER:
            return _refused(403, "You are not allowed to push code to this project.")
        return found

    def _created(self, token: Token, full_name: str) -> Repository | None:
        """Create the project of a push: private, and never at the old path of another."""
        owner, _, name = full_name.rpartition("/")
        if self.world.find(full_name) or full_name.casefold() in self.world.moved:
            return None
        if owner != token.account and self.group_role(token.account, owner) < DEVELOPER:
            return None
        return self.world.add_repository(owner, name)

    def refuse_push(
        self, token: Token | None, repository: Repository, update: RefUpdate
    ) -> PushRefusal | None:
        """Refuse what protected branches forbid."""
        role, branch = self.role(token, repository), update.ref.removeprefix("refs/heads/")
        if repository.empty and role < MAINTAINER and self._protects_first(repository):
            return _declined(
                f"A default branch (e.g. main) does not yet exist for {repository.full_name}",
                "Ask a project Owner or Maintainer to create a default branch:",
                "",
                f"  {self.url}/{repository.full_name}/-/project_members",
            )
        rule = repository.protections.get(branch)
        if rule is None:
            return None
        if update.forced and not rule["allow_force_push"]:
            return _declined(
                "You are not allowed to force push code to a protected branch on this project."
            )
        needed = rule["push_access_levels"][0]["access_level"]
        if needed == 0 or role < needed:
            return _declined(
                "You are not allowed to push code to protected branches on this project."
            )
        return None

    def after_push(self, repository: Repository) -> None:
        """Protect the default branch when it appears, as the group's setting says."""
        branches = repository.branches()
        if repository.default_branch not in branches and branches:
            repository.default_branch = next(iter(branches))
        first = "default_protected" not in repository.options
        if branches and first and self._protects_first(repository):
            repository.options["default_protected"] = True
            name = repository.default_branch
            made = self.protection(name, MAINTAINER, MAINTAINER)
            repository.protections.setdefault(name, made)

    def _protects_first(self, repository: Repository) -> bool:
        options = self.world.accounts[repository.owner].options
        return bool(options.get("default_branch_protection", 2))


def _refused(status: int, text: str) -> Answer:
    return Answer(status, text, {"Content-Type": "text/plain"})


def _declined(*lines: str) -> PushRefusal:
    return PushRefusal("pre-receive hook declined", tuple(f"GitLab: {line}" for line in lines))
