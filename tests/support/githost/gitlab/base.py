"""Sign-in, roles and lookups of GitLab."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from tests.support.githost.answers import Answer, Refused, Request
from tests.support.githost.state import Account, Repository, Token
from tests.support.githost.surface import Surface

GUEST, REPORTER, DEVELOPER, MAINTAINER, OWNER = 10, 20, 30, 40, 50

_ROLES = {
    "guest": GUEST,
    "reporter": REPORTER,
    "developer": DEVELOPER,
    "member": DEVELOPER,
    "maintainer": MAINTAINER,
    "owner": OWNER,
}

USER_NAMESPACES = 100_000
"""Added to the ID of a person for the ID of the person's namespace."""


class GitLabBase(Surface):
    """What all parts of the surface use."""

    kind, api, document = "gitlab", "/api/v4", "gitlab.json"

    def signed_in(self, request: Request) -> Token | None:
        """Check the token and its scopes; None for a request without a token."""
        if request.path == "/oauth/token":
            return None
        value = request.headers.get("private-token")
        token = self.world.tokens.get(value) if value else self.token_of(request.headers)
        if token is None:
            if value or request.headers.get("authorization"):
                raise Refused(self.error(401, "401 Unauthorized"))
            return None
        if not token.valid:
            said = "revoked" if token.revoked else "expired"
            raise Refused(
                Answer(
                    401,
                    {
                        "error": "invalid_token",
                        "error_description": f"Token was {said}. "
                        "You have to re-authorize from the user.",
                    },
                )
            )
        self._check_scopes(request, token)
        return token

    def _check_scopes(self, request: Request, token: Token) -> None:
        if request.path in ("/personal_access_tokens/self", "/oauth/token/info"):
            return
        enough = {"api"}
        if request.method == "GET":
            enough |= {"read_api"} | ({"read_user"} if request.path == "/user" else set())
        if token.scopes is None or enough & token.scopes:
            return
        raise Refused(
            Answer(
                403,
                {
                    "error": "insufficient_scope",
                    "error_description": "The request requires higher privileges than provided by "
                    "the access token.",
                    "scope": " ".join(sorted(enough)),
                },
            )
        )

    def me(self, request: Request) -> Account:
        """Return the account that asks. Raises Refused without a token."""
        if request.token is None:
            raise Refused(self.error(401, "401 Unauthorized"))
        return self.world.accounts[request.token.account]

    def group_role(self, account: str, group: str) -> int:
        """Return the access level in a group, by itself or by a group above."""
        levels = [0]
        while group:
            known = self.world.accounts.get(group)
            if known is not None and account in known.members:
                levels.append(_ROLES[known.members[account]])
            group = group.rpartition("/")[0]
        return max(levels)

    def role(self, token: Token | None, repository: Repository) -> int:
        """Return the access level in a project."""
        if token is None:
            return 0
        account = token.account
        levels = [self.group_role(account, repository.owner)]
        if account == repository.owner:
            levels.append(OWNER)
        levels.append(int(repository.collaborators.get(account, 0)))
        for group, level in repository.teams.items():
            levels.append(min(int(level), self.group_role(account, group)))
        return max(levels)

    def may_see(self, token: Token | None, repository: Repository) -> bool:
        """Whether the project exists for the asker."""
        open_to = {"public", "internal"} if token else {"public"}
        return self.role(token, repository) > 0 or repository.visibility in open_to

    def project(self, request: Request, given: str, level: int = GUEST) -> Repository:
        """Return the project by ID or path, an old path too. Raises Refused."""
        found = self.lookup(given)
        if found is None or not self.may_see(request.token, found):
            raise Refused(self.error(404, "404 Project Not Found"))
        if request.method != "GET":
            self.me(request)
            if self.role(request.token, found) < level:
                raise Refused(self.error(403, "403 Forbidden"))
        return found

    def lookup(self, given: str) -> Repository | None:
        """Return the project by ID, path or former path; None while it is hidden."""
        if given.isdigit():
            found = self.world.repositories.get(int(given))
        else:
            found = self.world.find(given)
            if found is None and given.casefold() in self.world.moved:
                found = self.world.repositories[self.world.moved[given.casefold()]]
        if found is not None and found.hidden > 0:
            found.hidden -= 1
            return None
        return found

    def group(self, request: Request, given: str) -> Account:
        """Return a group by ID or full path. Raises Refused."""
        for account in self.world.accounts.values():
            if account.organization and given.casefold() in (
                str(account.id),
                account.name.casefold(),
            ):
                level = self.group_role(
                    request.token.account if request.token else "", account.name
                )
                if level or account.visibility != "private":
                    return account
        raise Refused(self.error(404, "404 Group Not Found"))

    def premium(self, repository: Repository) -> bool:
        """Whether the plan of the top group or person has GitLab Premium."""
        return self.world.accounts[repository.owner.partition("/")[0]].plan != "free"

    def invalid(self, **fields: str) -> Refused:
        """Return a refusal 400 with a message for each field."""
        return Refused(
            Answer(
                400,
                {"message": {field.replace("__", "."): [text] for field, text in fields.items()}},
            )
        )

    def needed(self, body: Mapping[str, Any], *names: str) -> None:
        """Refuse a body in which a field is missing, as Grape does."""
        missing = [name for name in names if name not in body]
        if missing:
            said = ", ".join(f"{name} is missing" for name in missing)
            raise Refused(Answer(400, {"error": said}))

    def page(self, request: Request, items: Sequence[Any]) -> Answer:
        """Return one page of a list, with the links to the others."""
        number, size = int(request.query.get("page", 1)), int(request.query.get("per_page", 20))
        part = list(items[(number - 1) * size : number * size])
        headers = {"X-Page": str(number), "X-Per-Page": str(size), "X-Total": str(len(items))}
        if len(items) > number * size:
            query = urlencode({**request.query, "page": number + 1, "per_page": size})
            headers["X-Next-Page"] = str(number + 1)
            headers["Link"] = f'<{self.url}{self.api}{request.path}?{query}>; rel="next"'
        return Answer(200, part, headers)


def is_bot(name: str) -> bool:
    """Whether the account is that of a group or project token."""
    return re.match(r"(group|project)_\d+_bot", name) is not None
