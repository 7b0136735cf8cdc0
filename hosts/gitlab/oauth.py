"""Tokens of GitLab's OAuth, which live for two hours and are refreshed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from stepway.hosts.answers import message_of, retry_after
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.http import LONGEST, TIMEOUT
from stepway.net.answers import ENCODING, AnswerRefused, parsed_json, read_answer

EARLY = timedelta(minutes=5)
"""How long before its end a token is refreshed."""
_USUAL_LIFETIME = timedelta(hours=2)
_LONGEST_LIFETIME = timedelta(days=1)
_PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds that another process has for storing the pair that it got."""


@dataclass(frozen=True)
class OAuthTokens:
    """A pair of tokens. Each refresh token can be used once; repr hides both."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class OAuthApplication:
    """The application at the host's address `url` that the person has authorized.

    `secret` is empty for an application that is not confidential.
    """

    url: str
    client_id: str
    secret: str = field(default="", repr=False)


Store = Callable[[OAuthTokens], Awaitable[None]]
Load = Callable[[], Awaitable[OAuthTokens]]


class RefreshedToken:
    """A TokenSource that refreshes the token when less than five minutes of it are left.

    `load` returns the pair that was stored last: another process may have refreshed it. `store`
    keeps a new pair; the old refresh token is worthless from then on. When `store` fails, the
    next call stores the pair again.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        application: OAuthApplication,
        credential: str,
        load: Load,
        store: Store,
    ) -> None:
        self._client = client
        self._application = application
        self._credential = credential
        self._load, self._store = load, store
        self._lock = asyncio.Lock()
        self._tokens: OAuthTokens | None = None
        self._stored = True
        self._refused: set[str] = set()
        self._tasks: set[asyncio.Task[str]] = set()

    async def token(self) -> str:
        """Return a token with at least five minutes left. Raises HostError."""
        # A step that is cancelled must not lose a pair that the host has just given.
        task = asyncio.ensure_future(self._valid())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _valid(self) -> str:
        async with self._lock:
            if not self._stored and self._tokens is not None:
                await self._keep(self._tokens)
            if not self._fresh(self._tokens):
                self._tokens = await self._load()
            if not self._fresh(self._tokens):
                self._tokens = await self._refreshed(self._tokens)
                await self._keep(self._tokens)
            assert self._tokens is not None
            return self._tokens.access

    def refused(self, token: str) -> None:
        """Refresh before the next request: the host has revoked the token."""
        self._refused.add(token)

    def _fresh(self, tokens: OAuthTokens | None) -> bool:
        if tokens is None or tokens.access in self._refused:
            return False
        return tokens.expires_at - datetime.now(UTC) >= EARLY

    async def _keep(self, tokens: OAuthTokens) -> None:
        self._stored = False
        await self._store(tokens)
        self._stored = True

    async def _refreshed(self, tokens: OAuthTokens | None) -> OAuthTokens:
        assert tokens is not None
        try:
            async with asyncio.timeout(LONGEST):
                async with self._client.stream(
                    "POST",
                    f"{self._application.url}/oauth/token",
                    data=self._form(tokens.refresh),
                    headers={"Accept": "application/json", **ENCODING},
                    timeout=TIMEOUT,
                ) as response:
                    await read_answer(response)
        except (httpx.HTTPError, AnswerRefused, TimeoutError) as error:
            raise self._failed(Reason.UNREACHABLE, type(error).__name__) from error
        data = _object(response)
        if response.is_success and data is not None:
            if (pair := _tokens(data, tokens)) is not None:
                return pair
            raise self._failed(Reason.NOT_JSON, "it did not answer with a token")
        if (outage := self._outage(response, data)) is not None:
            raise outage
        if (other := await self._refreshed_elsewhere(tokens)) is not None:
            return other
        raise HostError(
            Reason.UNAUTHORIZED,
            f"{self._host} does not refresh the token of the credential {self._credential}: "
            f"{message_of(data)}",
            remedy="Connect the account again, then retry.",
            status=response.status_code,
        )

    def _outage(self, response: httpx.Response, data: Any) -> HostError | None:
        """Return the error for an answer that says nothing about the token."""
        status = response.status_code
        if status == 429:
            error = self._failed(Reason.RATE_LIMITED, "it limits the rate of requests")
            error.retry_after = retry_after(response) or 60.0
        elif status >= 500:
            error = self._failed(Reason.SERVER_ERROR, f"it answered {status}")
        elif data is None:
            error = self._failed(Reason.NOT_JSON, "it did not answer as GitLab does")
        else:
            return None
        error.status = status
        return error

    def _failed(self, reason: Reason, why: str) -> HostError:
        return HostError(
            reason,
            f"The token of the credential {self._credential} could not be refreshed at "
            f"{self._host}: {why}",
            remedy="Retry when the host works again.",
        )

    async def _refreshed_elsewhere(self, tokens: OAuthTokens) -> OAuthTokens | None:
        """Return the pair of another process that used the refresh token at the same time."""
        for pause in _PAUSES:
            other = await self._load()
            if other.refresh != tokens.refresh and self._fresh(other):
                return other
            await asyncio.sleep(pause)
        return None

    def _form(self, refresh: str) -> dict[str, str]:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh,
            "client_id": self._application.client_id,
        }
        if self._application.secret:
            form["client_secret"] = self._application.secret
        return form

    @property
    def _host(self) -> str:
        return urlsplit(self._application.url).netloc


def _object(response: httpx.Response) -> Mapping[str, Any] | None:
    try:
        data = parsed_json(response.content)
    except ValueError:
        return None
    return data if isinstance(data, Mapping) else None


def _tokens(data: Mapping[str, Any], old: OAuthTokens) -> OAuthTokens | None:
    """Return the pair of an answer, None if it has no token.

    The lifetime counts from now on this machine's clock. An answer without a refresh token keeps
    the old one, as OAuth says.
    """
    access, refresh = data.get("access_token"), data.get("refresh_token") or old.refresh
    if not isinstance(access, str) or not access or not isinstance(refresh, str):
        return None
    return OAuthTokens(access, refresh, datetime.now(UTC) + _lifetime(data.get("expires_in")))


def _lifetime(given: Any) -> timedelta:
    """Return how long a token lasts; the usual time where the answer does not say so.

    A token that ends earlier than expected is refused, and then refreshed.
    """
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        return _USUAL_LIFETIME
    if not seconds > EARLY.total_seconds():
        # It would be refreshed for each request.
        return _USUAL_LIFETIME
    return timedelta(seconds=min(seconds, _LONGEST_LIFETIME.total_seconds()))
