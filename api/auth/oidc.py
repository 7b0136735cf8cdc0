"""Verifies JWTs of an OpenID provider with its published keys."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt

from stepway.api.auth.policy import NAME, Person
from stepway.api.auth.refusals import NotSignedIn, SignInUnavailable
from stepway.net.answers import ENCODING, parsed_json, read_answer
from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.scopes import Scope

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Asymmetric algorithms only: with HMAC, anyone who has the public key could sign a token."""

LEEWAY = 30
"""Seconds by which the provider's clock may differ."""

GROUP = "group."
"""Prefix of groups that own projects, so that no person has the name of a group."""


class OpenId:
    """Verifies JWTs for one audience of one issuer."""

    def __init__(self, settings: ApiSettings, keys: KeySet) -> None:
        self._settings = settings
        self._keys = keys

    async def person(self, token: str) -> Person:
        """Return the person of a token. Raises NotSignedIn, SignInUnavailable."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise NotSignedIn
            key = await self._keys.key(header.get("kid"))
            if key is None:
                raise NotSignedIn
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._settings.oidc_audience,
                issuer=self._settings.oidc_issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise NotSignedIn from error
        return self._person(claims)

    def _person(self, claims: dict[str, Any]) -> Person:
        name = str(claims.get(self._settings.oidc_owner_claim, ""))
        if not NAME.fullmatch(name) or name.startswith(GROUP):
            raise NotSignedIn(
                f"The claim {self._settings.oidc_owner_claim} is missing or not a valid owner "
                "name. An operator can choose another claim with STEPWAY_OIDC_OWNER_CLAIM."
            )
        groups = frozenset(_groups(claims.get(self._settings.oidc_groups_claim)))
        scopes = {Scope(scope) for scope in self._settings.oidc_scopes}
        if {name, *groups} & set(self._settings.admins):
            scopes.add(Scope.ADMIN)
        return Person(
            name, groups, frozenset(scopes), datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC)
        )


def _groups(claim: Any) -> list[str]:
    """Return the groups with valid owner names, without the leading slash of Keycloak's paths."""
    given = claim if isinstance(claim, list) else [claim]
    names = [GROUP + each.removeprefix("/") for each in given if isinstance(each, str) and each]
    return [name for name in names if NAME.fullmatch(name)]


logger = logging.getLogger(__name__)

FRESH = 300.0
"""Seconds after which the keys are fetched again."""

LONGEST = 3600.0
"""Seconds that fetched keys stay in use while the provider is unreachable."""

PAUSE = 10.0
"""Minimum seconds between two fetches: tokens with unknown key IDs must not cause more."""

LARGEST = 512 * 1024
"""Bytes of an answer, also after decompression."""

UNAVAILABLE = "The identity provider is unavailable; try again."


class KeySet:
    """The public keys of one issuer, by key ID. `clock` returns seconds."""

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
        """Return the key with that ID, or None if the provider has no such key.

        Raises SignInUnavailable if the keys could not be fetched within LONGEST seconds.
        """
        if key_id not in self._keys or self._age > FRESH:
            await self._refresh(key_id)
        if self._age > LONGEST:
            raise SignInUnavailable(UNAVAILABLE)
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
                logger.warning("Cannot fetch the keys of %s: %r", self._issuer, error)

    async def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        async with httpx.AsyncClient(timeout=5, transport=self._transport) as http:
            where = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = await _json(http, where)
            if found["issuer"] != self._issuer:
                raise ValueError(f"{where} names another issuer: {found['issuer']!r}")
            keys = jwt.PyJWKSet.from_dict(await _json(http, found["jwks_uri"])).keys
        by_id: dict[str | None, jwt.PyJWK] = {key.key_id: key for key in keys}
        if len(keys) == 1:
            # With a single key, the token may omit the key ID.
            by_id.setdefault(None, keys[0])
        return by_id


async def _json(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    async with http.stream("GET", url, headers=ENCODING) as answer:
        answer.raise_for_status()
        await read_answer(answer, LARGEST)
    found: dict[str, Any] = parsed_json(answer.content)
    return found
