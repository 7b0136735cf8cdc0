"""JWTs of an OpenID provider: whose they are, by its published keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jwt

from api.access import NAME, Person, Scope
from api.jwks import KeySet
from api.refusals import NotSignedIn
from tracking.settings import Settings

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Those with a public key only: an HMAC could be made by whoever knows that key."""

LEEWAY = 30
"""Seconds by which the provider's clock may differ."""

GROUP = "group."
"""What a group's name begins with as an owner, so that no person can be taken for a group."""


class OpenId:
    """Reads JWTs for one audience of one issuer."""

    def __init__(self, settings: Settings, keys: KeySet) -> None:
        self._settings = settings
        self._keys = keys

    async def person(self, token: str) -> Person:
        """Whose token it is. Raises NotSignedIn, SignInAway."""
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
                f"The claim {self._settings.oidc_owner_claim} is missing, or cannot own anything: "
                "an operator may choose another in STEPWAY_OIDC_OWNER_CLAIM."
            )
        groups = frozenset(_groups(claims.get(self._settings.oidc_groups_claim)))
        scopes = {Scope(scope) for scope in self._settings.oidc_scopes}
        if {name, *groups} & set(self._settings.admins):
            scopes.add(Scope.ADMIN)
        return Person(
            name, groups, frozenset(scopes), datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC)
        )


def _groups(claim: Any) -> list[str]:
    """The groups that can own anything; of Keycloak's paths the leading slash is left out."""
    given = claim if isinstance(claim, list) else [claim]
    names = [GROUP + each.removeprefix("/") for each in given if isinstance(each, str) and each]
    return [name for name in names if NAME.fullmatch(name)]
