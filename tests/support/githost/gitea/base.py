"""Sign-in, scopes, rights and lookups of Gitea and Forgejo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from tests.support.githost.answers import Answer, Refused, Request
from tests.support.githost.state import Account, Repository, Token
from tests.support.githost.surface import Surface

RIGHTS = ("none", "read", "write", "admin", "owner")

_ADMIN = "user should be an owner or a collaborator with admin write of a repository"
_WRITE = "user should have a permission to write to a repo"

_CATEGORIES = {
    "repos": "repository",
    "repositories": "repository",
    "orgs": "organization",
    "teams": "organization",
    "user": "user",
}


class GiteaBase(Surface):
    """What all parts of the surface use; the class attributes are those of Gitea."""

    kind, api, document = "gitea", "/api/v1", "gitea.json"
    version: ClassVar[str] = "1.27.0"
    redirect: ClassVar[int] = 301
    """The status that a renamed repository answers with."""
    forgejo: ClassVar[bool] = False

    def error(self, status: int, message: str, **more: Any) -> Answer:
        """Return an error answer; Forgejo's 404 has `errors` too."""
        if self.forgejo and status == 404:
            more = {"errors": [], **more}
        return Answer(status, {"message": message, "url": f"{self.url}/api/swagger", **more})

    def signed_in(self, request: Request) -> Token | None:
        """Check the token and its scopes; None for a request without a token."""
        if not request.headers.get("authorization"):
            return None
        token = self.token_of(request.headers)
        if token is None or not token.valid:
            raise Refused(self.error(401, "invalid username, password or token"))
        self._check_scopes(request, token)
        return token

    def _check_scopes(self, request: Request, token: Token) -> None:
        """Check the scopes: a host does that before it looks whether the object is there."""
        level = "read" if request.method == "GET" else "write"
        category = _CATEGORIES.get(request.path.strip("/").partition("/")[0])
        wanted = [category] if category else []
        if (request.method, request.path) == ("POST", "/user/repos"):
            wanted.append("repository")
        for one in wanted:
            enough = {f"{level}:{one}", f"write:{one}", "all"}
            if token.scopes is not None and not enough & token.scopes:
                raise Refused(self.error(403, self._scope_text(f"{level}:{one}", token.scopes)))

    def _scope_text(self, needed: str, scopes: set[str]) -> str:
        if self.forgejo:
            return f"token does not have at least one of required scope(s): [{needed}]"
        has = ",".join(sorted(scopes))
        return (
            "token does not have at least one of required scope(s), "
            f"required=[{needed}], token scope={has}"
        )

    def me(self, request: Request) -> Account:
        """Return the account that asks. Raises Refused without a token."""
        if request.token is None:
            raise Refused(self.error(401, "token is required"))
        return self.world.accounts[request.token.account]

    def right(self, token: Token | None, repository: Repository) -> str:
        """Return the highest of the asker's rights in a repository."""
        owner = self.world.accounts[repository.owner]
        name = token.account if token else ""
        rights = [repository.collaborators.get(name, "none")]
        if (name and name == owner.name) or owner.members.get(name) == "owner":
            rights.append("owner")
        for slug in repository.teams:
            if name in owner.teams[slug].members:
                rights.append(self.team_right(owner, slug))
        if repository.visibility == "public" or (token and repository.visibility == "internal"):
            rights.append("read")
        return max(rights, key=RIGHTS.index)

    def team_right(self, organization: Account, slug: str) -> str:
        """Return the permission of a team, which is valid in all its repositories."""
        return str(organization.options.get("teams", {}).get(slug, "write"))

    def may(self, token: Token | None, repository: Repository, right: str) -> bool:
        """Whether the asker has a right."""
        return RIGHTS.index(self.right(token, repository)) >= RIGHTS.index(right)

    def repository(
        self, request: Request, owner: str, repo: str, right: str = "read"
    ) -> Repository:
        """Return the repository. Raises Refused: a redirect for one that was renamed."""
        found = self.world.read(f"{owner}/{repo}")
        if found is None:
            self._redirect(request, owner, repo)
        if found is None or not self.may(request.token, found, "read"):
            raise Refused(self.error(404, "not found"))
        scopes = (request.token.scopes if request.token else None) or set()
        if "public-only" in scopes and found.visibility != "public":
            raise Refused(self.error(403, "token scope is limited to public repos"))
        if not self.may(request.token, found, right):
            raise Refused(self.error(403, _ADMIN if right != "write" else _WRITE))
        if found.archived and right != "read" and request.method not in ("GET", "DELETE"):
            said = f"{found.full_name} is archived" if self.forgejo else "repo is archived"
            raise Refused(self.error(423, said))
        return found

    def _redirect(self, request: Request, owner: str, repo: str) -> None:
        number = self.world.moved.get(f"{owner}/{repo}".casefold())
        if number is None:
            return
        moved = self.world.repositories[number]
        rest = request.path.split("/", 4)[4:]
        path = "/".join(["repos", quote(moved.owner), quote(moved.name), *rest])
        query = f"?{urlencode(request.query)}" if request.query else ""
        raise Refused(Answer(self.redirect, None, {"Location": f"{self.api}/{path}{query}"}))

    def page(self, request: Request, items: Sequence[Any]) -> Answer:
        """Return one page of a list, with the link to the next."""
        number = int(request.query.get("page", 1))
        size = min(int(request.query.get("limit", 30)), 50)
        headers = {"X-Total-Count": str(len(items))}
        if len(items) > number * size:
            query = urlencode({**request.query, "page": number + 1, "limit": size})
            headers["Link"] = f'<{self.url}{self.api}{request.path}?{query}>; rel="next"'
        return Answer(200, list(items[(number - 1) * size : number * size]), headers)
