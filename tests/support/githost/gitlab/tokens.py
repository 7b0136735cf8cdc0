"""Tokens of GitLab: personal ones, those of groups and projects, and OAuth."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from tests.support.githost.answers import Answer, Refused, Request, route
from tests.support.githost.gitlab.base import GitLabBase, is_bot
from tests.support.githost.gitlab.entities import user_json
from tests.support.githost.state import Repository, Token, World

_INVALID_GRANT = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection "
    "URI used in the authorization request, or was issued to another client."
)


def add_bot_token(
    world: World, place: str | Repository, scopes: set[str], role: str = "maintainer", **fields: Any
) -> Token:
    """Add an access token of a group (its full path) or project, with the account of its bot."""
    if isinstance(place, Repository):
        bot = f"project_{place.id}_bot_{secrets.token_hex(16)}"
        world.add_account(bot)
        place.collaborators[bot] = {"maintainer": "40", "owner": "50", "developer": "30"}[role]
        kind = "project"
    else:
        group = world.accounts[place]
        bot = f"group_{group.id}_bot_{secrets.token_hex(16)}"
        world.add_account(bot)
        group.members[bot] = role
        kind = "group"
    return world.add_token(bot, scopes, prefix="glpat-", kind=kind, **fields)


def add_oauth_tokens(
    world: World, account: str, scopes: set[str], lasts: timedelta = timedelta(hours=2)
) -> tuple[Token, str]:
    """Add a pair of OAuth tokens: the access token, and the refresh token's value."""
    token = world.add_token(account, scopes, prefix="", lasts=lasts, kind="oauth")
    refresh = secrets.token_hex(32)
    world.options.setdefault("refresh_tokens", {})[refresh] = token
    return token, refresh


class TokenRoutes(GitLabBase):
    """The account and the token that asks."""

    @route("GET /user")
    def user(self, request: Request) -> Any:
        account = self.me(request)
        return {
            **user_json(self.url, account),
            "bot": is_bot(account.name),
            "email": f"{account.name}@example.org",
            "can_create_project": True,
            "projects_limit": 100000,
        }

    @route("GET /users")
    def users(self, request: Request) -> Any:
        wanted = request.query.get("username", "").casefold()
        return [
            user_json(self.url, account)
            for account in self.world.accounts.values()
            if not account.organization and account.name.casefold() == wanted
        ]

    @route("GET /personal_access_tokens/self")
    def token_itself(self, request: Request) -> Any:
        account, token = self.me(request), request.token
        assert token is not None
        if token.kind == "oauth":
            raise Refused(
                self.error(
                    400,
                    "400 Bad request - This endpoint requires token type to be a personal access "
                    "token",
                )
            )
        return {
            "id": token.id,
            "name": "stepway",
            "revoked": False,
            "created_at": "2026-01-01T00:00:00.000Z",
            "description": None,
            "scopes": sorted(token.scopes or {"api"}),
            "user_id": account.id,
            "last_used_at": None,
            "active": True,
            "expires_at": f"{token.expires_at:%Y-%m-%d}" if token.expires_at else None,
            "last_used_ips": [],
        }

    @route("GET /oauth/token/info")
    def oauth_info(self, request: Request) -> Any:
        account, token = self.me(request), request.token
        assert token is not None
        return {
            "resource_owner_id": account.id,
            "scope": sorted(token.scopes or {"api"}),
            "expires_in": 7200,
            "application": {"uid": "stepway"},
            "created_at": 1767225600,
        }

    @route("POST /oauth/token")
    def oauth_token(self, request: Request) -> Any:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form.get("client_id") != self.world.options.get("client_id", "stepway"):
            raise Refused(
                Answer(
                    401,
                    {
                        "error": "invalid_client",
                        "error_description": "Client authentication failed due to unknown client",
                    },
                )
            )
        known = self.world.options.setdefault("refresh_tokens", {})
        old = known.pop(form.get("refresh_token"), None)
        if form.get("grant_type") != "refresh_token" or old is None:
            raise Refused(
                Answer(400, {"error": "invalid_grant", "error_description": _INVALID_GRANT})
            )
        old.revoked = True
        token, refresh = add_oauth_tokens(self.world, old.account, set(old.scopes or {"api"}))
        return {
            "access_token": token.value,
            "token_type": "Bearer",
            "expires_in": 7200,
            "refresh_token": refresh,
            "scope": " ".join(sorted(token.scopes or ())),
            "created_at": 1767225600,
        }
