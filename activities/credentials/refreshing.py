"""Keeps an OAuth token that is refreshed in the vault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from stepway.activities.credentials.credentials import Credentials
from stepway.hosts.access import TokenSource
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.oauth import OAuthApplication, OAuthTokens, RefreshedToken
from stepway.vault.known import SecretName
from stepway.vault.redaction import learn
from stepway.vault.vault import Secret


class StoredPair:
    """The pair of OAuth tokens in a credential, which all workers share."""

    def __init__(self, credentials: Credentials, name: SecretName, refresh: str) -> None:
        self._credentials = credentials
        self._name = name
        self._refresh = refresh

    def is_of(self, refresh: str) -> bool:
        """Whether this refresh token is the one of the pair."""
        return refresh == self._refresh

    async def load(self) -> OAuthTokens:
        """Return the pair that was stored last. Raises HostError if the credential is gone."""
        secret = await self._credentials.stored(self._name)
        if secret is None or not is_oauth(secret.value):
            raise HostError(
                Reason.UNAUTHORIZED,
                f"The credential {self._name.name!r} is no longer an OAuth token",
                remedy="Retry, so that the step uses the credential as it is now.",
            )
        fields = json.loads(secret.value)
        self._hide(fields)
        self._refresh = fields["refresh_token"]
        return OAuthTokens(fields["access_token"], self._refresh, _end(fields.get("expires_at")))

    async def store(self, pair: OAuthTokens) -> None:
        """Keep a new pair, unless somebody has stored another credential meanwhile."""
        fields = {
            "access_token": pair.access,
            "refresh_token": pair.refresh,
            "expires_at": pair.expires_at.timestamp(),
        }
        self._hide(fields)

        def changed(value: str) -> str | None:
            stored = json.loads(value) if is_oauth(value) else {}
            if stored.get("refresh_token") != self._refresh:
                return None
            return json.dumps(stored | fields)

        await self._credentials.change(self._name, changed)
        self._refresh = pair.refresh

    def _hide(self, fields: Mapping[str, Any]) -> None:
        made = SecretName(self._name.owner, self._name.name, made=True)
        for field in ("access_token", "refresh_token"):
            learn(fields[field], made)


def _end(seconds: Any) -> datetime:
    """Return the end of a token; a time in the past for one that cannot be read."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0.0, UTC)


def is_oauth(value: str) -> bool:
    """Whether a token's value is an OAuth token that is refreshed."""
    return value.startswith("{")


@dataclass(frozen=True)
class RefreshedCredential:
    """The token source of a credential, and the pair that it uses."""

    source: TokenSource
    pair: StoredPair
    place: tuple[str, str | None, str]

    def is_of(self, secret: Secret) -> bool:
        """Whether the source uses this secret, as it was stored or refreshed here."""
        fields = json.loads(secret.value)
        return self.place == _place(secret, fields) and self.pair.is_of(fields["refresh_token"])


def refreshed_tokens(
    client: httpx.AsyncClient, credentials: Credentials, name: SecretName, secret: Secret
) -> RefreshedCredential:
    """Return the token source of a secret that is an OAuth token."""
    fields = json.loads(secret.value)
    pair = StoredPair(credentials, name, fields["refresh_token"])
    application = OAuthApplication(
        secret.target.url, fields["client_id"], fields.get("client_secret", "")
    )
    source = RefreshedToken(client, application, name.name, pair.load, pair.store)
    return RefreshedCredential(source, pair, _place(secret, fields))


def _place(secret: Secret, fields: Mapping[str, Any]) -> tuple[str, str | None, str]:
    return secret.target.url, secret.target.ca, fields["client_id"]
