"""Who asks: by a token of ours, an OpenID provider's JWT, or a browser's session."""

from __future__ import annotations

from collections import OrderedDict

import asyncpg
from starlette.requests import Request

from stepway.api.auth.limits import MOST_KEYS, Failures
from stepway.api.auth.oidc import KeySet, OpenId
from stepway.api.auth.origin import Origins
from stepway.api.auth.policy import LOCAL, Person
from stepway.api.auth.refusals import NotSignedIn
from stepway.api.auth.sessions import Sessions
from stepway.api.auth.tokens import MARK, Tokens, digest
from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.setting_types import LOOPBACK

SECURE_COOKIE = "__Host-stepway"
PLAIN_COOKIE = "stepway"
"""Only for this machine, where a page may come by plain HTTP."""


OVER = "This token or session is invalid or has expired."


class SignIn:
    """Tells who sends a request. Without sign-in it is LOCAL, as long as it comes from here."""

    def __init__(self, settings: ApiSettings, pool: asyncpg.Pool) -> None:
        self.required = bool(settings.sign_in)
        self.sessions = Sessions(pool)
        self._tokens = Tokens(pool) if "tokens" in settings.sign_in else None
        self._openid: OpenId | None = None
        if "oidc" in settings.sign_in:
            self._openid = OpenId(settings, KeySet(settings.oidc_issuer))
        self._public_https = settings.public_url.startswith("https://")
        self.origins = Origins(settings, open_here=not self.required)
        self._failures = Failures()
        self._good: OrderedDict[bytes, None] = OrderedDict()

    async def person(self, request: Request) -> Person:
        """Who it is.

        Raises NotSignedIn, TooMany, SignInAway, and Forbidden for a page of another site.
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
            raise NotSignedIn(OVER)
        return found

    async def bearer_person(self, request: Request, token: str) -> Person:
        """Whose token it is. Raises NotSignedIn, TooMany, SignInAway."""
        seen = digest(token)
        if seen not in self._good:
            # Whoever was let in before is not kept out by others at the same address.
            self._failures.check(address(request))
        try:
            if (found := await self._of_token(token)) is None:
                raise NotSignedIn(OVER)
        except NotSignedIn:
            self._good.pop(seen, None)
            self._failures.count(address(request))
            raise
        self._good[seen] = None
        if len(self._good) > MOST_KEYS:
            self._good.popitem(last=False)
        return found

    def cookie(self, request: Request) -> str | None:
        """The value of the session's cookie."""
        return request.cookies.get(self.cookie_name(request))

    def cookie_name(self, request: Request) -> str:
        """What the cookie is called at this request's address. Raises Forbidden without TLS."""
        return SECURE_COOKIE if self.is_secure(request) else PLAIN_COOKIE

    def is_secure(self, request: Request) -> bool:
        """Whether the person came by HTTPS."""
        return self._public_https or request.url.scheme == "https"

    def may_keep_session(self, request: Request) -> bool:
        """Whether a cookie is safe here: by HTTPS, or on this machine."""
        return self.is_secure(request) or request.url.hostname in LOOPBACK

    async def _of_token(self, token: str) -> Person | None:
        if token.startswith(MARK):
            return await self._tokens.person(token) if self._tokens else None
        if self._openid and token.count(".") == 2:
            return await self._openid.person(token)
        return None


def bearer(request: Request) -> str | None:
    """The token of `Authorization: Bearer …`, None where there is no such header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def address(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""
