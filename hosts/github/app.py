"""Tokens of a GitHub App: a signed assertion, then a token of one installation."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

import jwt

from stepway.hosts.access import HostAccess, HostKind
from stepway.hosts.client import time_of
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.github.api import HEADERS, api_of, segment
from stepway.hosts.github.errors import explain
from stepway.hosts.http import HostHttp, http_client
from stepway.hosts.reading import reading

_EARLY = 300.0
"""Seconds before its expiry that a token is replaced: a push with it may take as long."""
_ASSERTION_LASTS = 540
_CLOCKS_APART = 60
_USUAL_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True)
class _Installation:
    token: str = field(repr=False)
    expires_at: datetime
    permissions: Mapping[str, str]


_cache: dict[tuple[str, str, str, str], _Installation] = {}
"""By host, App, account and the digest of the key: one token for all steps of this process."""

_locks: WeakValueDictionary[tuple[str, str, str, str], asyncio.Lock] = WeakValueDictionary()
"""By the same key: steps that begin at once ask for one token, not for one each."""


class AppTokens:
    """Gives tokens of the App's installation in one account.

    `account` is the organization, or person, that has installed the App. `private_key` is a PEM
    text. A token is kept in this process until shortly before it expires. `made` gets each token
    before anything uses it.
    """

    def __init__(
        self,
        url: str,
        app_id: str,
        private_key: str,
        account: str,
        ca: str | None = None,
        made: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._made = made
        self._app_id = app_id
        self._account = account
        self._ca = ca
        self._access = HostAccess(
            HostKind.GITHUB, url, f"of the App {app_id}", account, _Assertions(app_id, private_key)
        )
        digest = hashlib.sha256(private_key.encode()).hexdigest()
        self._key = (url, app_id, account.casefold(), digest)
        self._lock = _locks.setdefault(self._key, asyncio.Lock())

    async def token(self) -> str:
        """Return a token that is valid for some minutes more. Raises HostError."""
        return (await self._installation()).token

    def refused(self, token: str) -> None:
        """Forget the token: the host has refused it."""
        known = _cache.get(self._key)
        if known is not None and known.token == token:
            del _cache[self._key]

    async def permissions(self) -> Mapping[str, str]:
        """Return what the installation may do: `contents` → `write`, … Raises HostError."""
        return (await self._installation()).permissions

    async def name(self) -> str:
        """Return the App's name in URLs. Raises HostError."""
        async with http_client(self._ca) as client:
            with reading(self._access.url):
                return str((await self._http(client).call("GET", "app"))["slug"])

    async def _installation(self) -> _Installation:
        async with self._lock:
            known = _cache.get(self._key)
            if known is None or _seconds_left(known) < _EARLY:
                known = _cache[self._key] = await self._asked()
            return known

    async def _asked(self) -> _Installation:
        with reading(self._access.url):
            async with http_client(self._ca) as client:
                http = self._http(client)
                number = (await self._found(http))["id"]
                made = await http.call("POST", f"app/installations/{number}/access_tokens")
            token, permissions = made["token"], made.get("permissions") or {}
            if not isinstance(token, str) or not isinstance(permissions, Mapping):
                raise TypeError("a token is a text, and permissions are an object")
        self._made(token)
        return _Installation(token, _end(made.get("expires_at")), permissions)

    async def _found(self, http: HostHttp) -> Any:
        """Return the App's installation in the organization, or else in the person's account."""
        for kind in ("orgs", "users"):
            path = f"{kind}/{segment(self._account)}/installation"
            if (found := await http.call("GET", path, missing=True)) is not None:
                return found
        raise HostError(
            Reason.NOT_FOUND,
            f"The App {self._app_id} is not installed in {self._account}",
            remedy=f"Install the App in {self._account}, then retry.",
            status=404,
        )

    def _http(self, client: Any) -> HostHttp:
        return HostHttp(
            client, self._access, api_of(self._access.url), explain(self._access), HEADERS
        )


@dataclass(frozen=True)
class _Assertions:
    """Signs who the App is, for each request."""

    app_id: str
    private_key: str = field(repr=False)

    async def token(self) -> str:
        """Return a JWT that is valid for nine minutes. Raises HostError for an unusable key."""
        now = int(time.time())
        claims = {
            "iat": now - _CLOCKS_APART,
            "exp": now + _ASSERTION_LASTS,
            "iss": self.app_id,
        }
        try:
            return jwt.encode(claims, self.private_key, "RS256")
        except (ValueError, TypeError, jwt.PyJWTError) as error:
            raise HostError(
                Reason.INVALID,
                f"The private key of the App {self.app_id} cannot be read",
                remedy="Store the key's PEM file as GitHub gave it: "
                "`stepway credential set … --kind github-app < key.pem`.",
            ) from error

    def refused(self, token: str) -> None:
        """Do nothing: the next request gets a new one."""


def _end(given: Any) -> datetime:
    """Return when a token ends; after the usual time where the answer does not say so.

    A token that ends earlier than expected is refused, and then replaced.
    """
    usual = datetime.now(UTC) + _USUAL_LIFETIME
    end = time_of(given) or usual
    # A token that has ended would be replaced for each request.
    return end if end > datetime.now(UTC) else usual


def _seconds_left(installation: _Installation) -> float:
    return (installation.expires_at - datetime.now(UTC)).total_seconds()
