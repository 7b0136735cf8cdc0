"""An OpenID provider's public keys: found by discovery, kept for a while, fetched again in time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt

from api.refusals import SignInAway

logger = logging.getLogger(__name__)

FRESH = 300.0
"""Seconds after which the keys are fetched again."""

LONGEST = 3600.0
"""Seconds for which fetched keys are good while the provider cannot be reached."""

PAUSE = 10.0
"""Seconds between two fetches at least: a token that names a wrong key must not cause many."""

LARGEST = 512 * 1024

AWAY = "The OpenID provider's keys cannot be had now, so nobody can be signed in; try again."


class KeySet:
    """The keys of one issuer by their ids. `clock` counts seconds."""

    def __init__(
        self,
        issuer: str,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._transport = transport
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of that id, None if the provider has none.

        Raises SignInAway when the keys are too old, or none were ever had.
        """
        if key_id not in self._keys or self._age > FRESH:
            await self._refresh(key_id)
        if self._age > LONGEST:
            raise SignInAway(AWAY)
        return self._keys.get(key_id)

    @property
    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _refresh(self, key_id: str | None) -> None:
        async with self._fetching:
            known = key_id in self._keys and self._age <= FRESH
            if known or self._clock() - self._tried_at < PAUSE:
                return
            self._tried_at = self._clock()
            try:
                self._keys = await self._fetch()
                self._fetched_at = self._clock()
            except (httpx.HTTPError, jwt.PyJWTError, KeyError, ValueError, TypeError) as error:
                logger.warning("The keys of %s cannot be fetched: %r", self._issuer, error)

    async def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        async with httpx.AsyncClient(timeout=5, transport=self._transport) as http:
            where = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = await _json(http, where)
            if found["issuer"] != self._issuer:
                raise ValueError(f"{where} is of another issuer, {found['issuer']!r}")
            keys = jwt.PyJWKSet.from_dict(await _json(http, found["jwks_uri"])).keys
        by_id: dict[str | None, jwt.PyJWK] = {key.key_id: key for key in keys}
        if len(keys) == 1:
            # A provider with a single key need not name it.
            by_id.setdefault(None, keys[0])
        return by_id


async def _json(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    answer = await http.get(url)
    answer.raise_for_status()
    if len(answer.content) > LARGEST:
        raise ValueError(f"{url} is larger than anything expected")
    found: dict[str, Any] = answer.json()
    return found
