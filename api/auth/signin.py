"""Identifies the caller by a Stepway token, an OpenID provider's JWT or a browser session."""

from __future__ import annotations

from collections import OrderedDict

import asyncpg
from starlette.requests import Request

from stepway.api.auth.limits import MAX_KEYS, Failures
from stepway.api.auth.oidc import KeySet, OpenId
from stepway.api.auth.origin import Origins
from stepway.api.auth.policy import LOCAL, Person
from stepway.api.auth.refusals import NotSignedIn
from stepway.api.auth.sessions import Sessions
from stepway.api.auth.tokens import PREFIX, Tokens, digest
from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.setting_types import LOOPBACK

SECURE_COOKIE = "__Host-stepway"
PLAIN_COOKIE = "stepway"
"""For plain HTTP on this machine: browsers accept `__Host-` cookies over HTTPS only."""

INVALID_OR_EXPIRED = "This token or session is invalid or has expired."


class SignIn:
    """Identifies the caller. Without sign-in every caller on this machine is LOCAL."""

    def __init__(self, settings: ApiSettings, pool: asyncpg.Pool) -> None:
        self.required = bool(settings.sign_in)
        self.sessions = Sessions(pool)
        self._tokens = Tokens(pool) if "tokens" in settings.sign_in else None
        self._openid: OpenId | None = None
        if "oidc" in settings.sign_in:
            self._openid = OpenId(settings, KeySet(settings.oidc_issuer))
        self._public_https = settings.public_url.startswith("https://")
        self.origins = Origins(settings, without_sign_in=not self.required)
        self._failures = Failures()
        self._accepted: OrderedDict[bytes, None] = OrderedDict()

    async def person(self, request: Request) -> Person:
        """Return the caller.

        Raises NotSignedIn, TooMany, SignInUnavailable, and Forbidden for another site's page.
        """
        if not self.required:
            self.origins.check_host(request)
            self.origins.check_change(request)
            return LOCAL
        if (token := bearer(request)) is not None:
            return await self.bearer_person(request, token)
        if (value := self.cookie(request)) is None:
            raise NotSignedIn
        self.origins.check_change(request)
        if (found := await self.sessions.person(value)) is None:
            raise NotSignedIn(INVALID_OR_EXPIRED)
        return found

    async def bearer_person(self, request: Request, token: str) -> Person:
        """Return the person of a token. Raises NotSignedIn, TooMany, SignInUnavailable."""
        seen = digest(token)
        if seen not in self._accepted:
            # Failed sign-ins of others at the same address must not lock out a valid token.
            self._failures.check(address(request))
        try:
            if (found := await self._of_token(token)) is None:
                raise NotSignedIn(INVALID_OR_EXPIRED)
        except NotSignedIn:
            self._accepted.pop(seen, None)
            self._failures.count(address(request))
            raise
        self._accepted[seen] = None
        if len(self._accepted) > MAX_KEYS:
            self._accepted.popitem(last=False)
        return found

    def cookie(self, request: Request) -> str | None:
        """Return the value of the session cookie, or None."""
        return request.cookies.get(self.cookie_name(request))

    def cookie_name(self, request: Request) -> str:
        """Return the name of the session cookie at this request's address."""
        return SECURE_COOKIE if self.is_secure(request) else PLAIN_COOKIE

    def is_secure(self, request: Request) -> bool:
        """Whether the browser uses HTTPS, possibly up to a proxy."""
        return self._public_https or request.url.scheme == "https"

    def may_keep_session(self, request: Request) -> bool:
        """Whether a session cookie is safe: over HTTPS, or on this machine."""
        return self.is_secure(request) or request.url.hostname in LOOPBACK

    async def _of_token(self, token: str) -> Person | None:
        if token.startswith(PREFIX):
            return await self._tokens.person(token) if self._tokens else None
        if self._openid and token.count(".") == 2:
            return await self._openid.person(token)
        return None


def bearer(request: Request) -> str | None:
    """Return the token of `Authorization: Bearer …`, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def address(request: Request) -> str:
    return request.client.host if request.client else ""
