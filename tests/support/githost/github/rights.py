"""Sign-in at GitHub, what a token may do, and GitHub's error answers."""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any, ClassVar
from urllib.parse import urlencode

import jwt

from tests.support.githost.answers import Answer, Refused, Request, route
from tests.support.githost.state import Account, Repository, Token
from tests.support.githost.surface import Surface

ROLES = ("pull", "triage", "push", "maintain", "admin")
_LIMIT = 5000


class GitHubRights(Surface):
    """`world.options["apps"]` maps an App's ID to `{"key", "slug", "installations"}`.

    An App's `installations` maps an account to `{"id", "permissions", "suspended"}`.
    """

    kind: ClassVar[str] = "github"
    api: ClassVar[str] = "/api/v3"
    document: ClassVar[str] = "github.json"
    unchecked: ClassVar[str] = (
        r"GET /users/[^/]+(/installation)?$|GET /orgs/[^/]+/teams/[^/]+$"
        r"|PATCH /repos/[^/]+/[^/]+/hooks/|GET /repos/.*/runs$|GET /meta$|\w+ /repositories/"
        r"|GET /repos/.*/collaborators/[^/]+/permission$|GET /repos/[^/]+/[^/]+/teams$"
    )

    def error(self, status: int, message: str, **more: Any) -> Answer:
        """Return an error in GitHub's form; `status` is a text there."""
        url = "https://docs.github.com/rest"
        data = {"message": message, "documentation_url": url, "status": str(status)}
        return Answer(status, data | more)

    def refuse(self, status: int, message: str, **more: Any) -> Refused:
        """Return the exception for an error."""
        return Refused(self.error(status, message, **more))

    def invalid(self, *errors: Any, message: str = "Validation Failed") -> Refused:
        """Return the exception for an error 422 with its `errors`."""
        return self.refuse(422, message, errors=list(errors))

    def finished(self, request: Request, answer: Answer) -> Answer:
        """Cut lists into pages; add the headers of limits, scopes and expiry."""
        if isinstance(answer.data, list):
            self._paged(request, answer)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-RateLimit-Limit": str(_LIMIT),
            "X-RateLimit-Remaining": str(_LIMIT - self.used - 1),
            "X-RateLimit-Reset": str(int(time.time()) + 3600),
        }
        token = request.token
        if token is not None and token.scopes is not None and token.kind == "personal":
            headers["X-OAuth-Scopes"] = ", ".join(sorted(token.scopes))
            headers["X-Accepted-OAuth-Scopes"] = request.options.get("accepted", "")
        if token is not None and token.expires_at is not None and token.kind != "app":
            expires = token.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC")
            headers["github-authentication-token-expiration"] = expires
        answer.headers = headers | answer.headers
        return answer

    @property
    def used(self) -> int:
        """How much of the quota is used up; "not modified" costs nothing."""
        return int(self.world.options.get("used", 0))

    def conditional(self, request: Request, answer: Answer) -> Answer:
        """Mark what is read with an ETag, and count what is sent against the quota."""
        if request.method == "GET" and answer.status == 200:
            etag = f'W/"{hashlib.sha256(answer.body).hexdigest()}"'
            answer.headers["ETag"] = etag
            if request.headers.get("if-none-match") == etag:
                return Answer(304, None, answer.headers)
        self.world.options["used"] = self.used + 1
        return answer

    def signed_in(self, request: Request) -> Token | None:
        """Return the token, or one for an App's assertion."""
        if not request.headers.get("user-agent"):
            raise self.refuse(403, "Missing or invalid User Agent string.")
        if request.path.split("/")[1] == "app" or request.path.endswith("/installation"):
            return self._app_of(request)
        if "authorization" not in request.headers:
            raise self.refuse(401, "Requires authentication")
        token = self.token_of(request.headers)
        if token is None or not token.valid:
            raise self.refuse(401, "Bad credentials")
        return token

    def _paged(self, request: Request, answer: Answer) -> None:
        size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
        if len(answer.data) > page * size:
            query = urlencode({**request.query, "page": page + 1})
            answer.headers["Link"] = f'<{self.url}{self.api}{request.path}?{query}>; rel="next"'
        answer.data = answer.data[(page - 1) * size : page * size]

    def _app_of(self, request: Request) -> Token:
        value = request.headers.get("authorization", "").partition(" ")[2]
        try:
            number = str(jwt.decode(value, options={"verify_signature": False})["iss"])
            app = self.world.options["apps"][number]
            claims = jwt.decode(value, app["key"], ["RS256"], leeway=5)
        except jwt.ExpiredSignatureError:
            raise self.refuse(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future "
                "time at which the assertion expires",
            ) from None
        except jwt.ImmatureSignatureError:
            raise self.refuse(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the "
                "assertion was issued",
            ) from None
        except (jwt.PyJWTError, KeyError):
            raise self.refuse(401, "A JSON web token could not be decoded") from None
        if claims["exp"] - time.time() > 600:
            raise self.refuse(401, "'Expiration time' claim ('exp') is too far in the future")
        return Token(0, value, app["slug"], kind="app", options={"app": number})

    def organization(self, request: Request, name: str) -> Account:
        """Return an organization that the token may see and use."""
        found = self.world.accounts.get(name)
        if found is None or not found.organization:
            raise self.refuse(404, "Not Found")
        self._check_single_sign_on(request, found)
        return found

    def repository(
        self,
        request: Request,
        owner: str,
        repo: str,
        *,
        role: str = "pull",
        permission: str = "metadata",
        scopes: str = "repo",
    ) -> Repository:
        """Return a repository that the token may use for this; else end with GitHub's error."""
        accepted = scopes
        request.options["accepted"] = accepted
        found = self.world.read(f"{owner}/{repo}")
        if found is None:
            self._redirect(request, owner, repo)
            raise self.refuse(404, "Not Found")
        token = request.token
        assert token is not None
        has = self.role_of(token, found)
        if has is None and found.visibility != "public":
            raise self.refuse(404, "Not Found")
        self._check_single_sign_on(request, self.world.accounts[found.owner])
        self._check_scope(request, found, accepted, write=role != "pull")
        self._check_permission(token, permission, write=role != "pull")
        if role != "pull" and (has is None or ROLES.index(has) < ROLES.index(role)):
            raise self.refuse(403, "Must have admin rights to Repository.")
        if found.archived and request.method not in ("GET", "DELETE"):
            raise self.refuse(403, "Repository was archived so is read-only.")
        return found

    def role_of(self, token: Token, repository: Repository) -> str | None:
        """Return the best role that the token's account has in the repository."""
        owner = self.world.accounts[repository.owner]
        if token.kind == "installation":
            return "admin" if token.options["account"] == owner.name else None
        roles = [repository.collaborators.get(token.account)]
        if token.account == owner.name or owner.members.get(token.account) == "owner":
            roles.append("admin")
        for slug, role in repository.teams.items():
            if token.account in owner.teams[slug].members:
                roles.append(role)
        known = [role for role in roles if role is not None]
        return max(known, key=ROLES.index) if known else None

    def _check_single_sign_on(self, request: Request, owner: Account) -> None:
        token = request.token
        if not owner.single_sign_on or token is None or token.kind == "installation":
            return
        if owner.name in token.authorized:
            return
        url = f"{self.url}/orgs/{owner.name}/sso?authorization_request=A1"
        answer = self.error(
            403,
            "Resource protected by organization SAML enforcement. You must grant your Personal "
            "Access token access to this organization.",
        )
        answer.headers["X-GitHub-SSO"] = f"required; url={url}"
        raise Refused(answer)

    def _check_scope(
        self, request: Request, repository: Repository, accepted: str, *, write: bool
    ) -> None:
        token = request.token
        assert token is not None
        if token.scopes is None or token.kind != "personal":
            return
        wanted = {scope.strip() for scope in accepted.split(",")}
        if repository.visibility == "public":
            if not write:
                return
            wanted |= {"public_repo"} if "repo" in wanted else set()
        if not token.scopes & wanted:
            status = 404 if repository.visibility != "public" else 403
            raise self.refuse(status, "Not Found")

    def _check_permission(self, token: Token, permission: str, *, write: bool) -> None:
        if token.kind not in ("installation", "fine-grained"):
            return
        granted = token.permissions.get(permission, "read" if permission == "metadata" else "")
        if granted in ("write", "admin") or (granted == "read" and not write):
            return
        whom = "integration" if token.kind == "installation" else "personal access token"
        answer = self.error(403, f"Resource not accessible by {whom}")
        right = "write" if write else "read"
        answer.headers["X-Accepted-GitHub-Permissions"] = f"{permission}={right}"
        raise Refused(answer)

    def _redirect(self, request: Request, owner: str, repo: str) -> None:
        number = self.world.moved.get(f"{owner}/{repo}".casefold())
        if number is None:
            return
        rest = re.sub(r"^.*?/repos/[^/]+/[^/]+", "", request.path, count=1)
        url = f"{self.url}{self.api}/repositories/{number}{rest}"
        status = 301 if request.method == "GET" else 307
        answer = self.error(status, "Moved Permanently", url=url)
        answer.headers["Location"] = url
        raise Refused(answer)

    @route("* /repositories/{number}")
    @route("* /repositories/{number}/{rest*}")
    def by_id(self, request: Request, number: str, rest: str = "") -> Answer:
        """Answer for a repository by its ID; the old name of a renamed one redirects here."""
        found = self.world.repositories.get(int(number))
        if found is None:
            raise self.refuse(404, "Not Found")
        request.path = f"/repos/{found.full_name}{f'/{rest}' if rest else ''}"
        return self.dispatched(request)
