"""The account behind a token, and the token's scopes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.api import GitLabApi
from stepway.hosts.host import Feature, Identity

_BOT = re.compile(r"(group|project)_\d+_bot")
_NOT_TOLD = {Reason.INVALID, Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.SCOPE_MISSING}


class Tokens(GitLabApi):
    """Tokens of persons, groups and projects, and of OAuth."""

    async def identity(self) -> Identity:
        """Return the account: for the token of a group or project, the account of its bot."""
        account = (await self.http.call("GET", "user"))["username"]
        bot = _BOT.match(account)
        scopes, expires_at = await self._token()
        return Identity(account, scopes, expires_at, bot[1] if bot else "user")

    async def missing_scopes(self, needed: Sequence[Feature], *, workflows: bool) -> list[str]:
        """Return `api` unless the token has it: creating anything needs it, and it may push."""
        scopes, _ = await self._token()
        return [] if scopes is None or "api" in scopes else ["api"]

    async def _token(self) -> tuple[frozenset[str] | None, datetime | None]:
        try:
            data = await self.http.call("GET", "personal_access_tokens/self")
        except HostError as error:
            if error.reason not in _NOT_TOLD:
                raise
            return await self._oauth_token()
        return frozenset(data["scopes"]), _end(data.get("expires_at"))

    async def _oauth_token(self) -> tuple[frozenset[str] | None, datetime | None]:
        """Return the scopes of an OAuth token, which is none of GitLab's personal tokens.

        It is refreshed before its end, so no end is given.
        """
        url = f"{self.access.url}/oauth/token/info"
        try:
            data = await self.http.call("GET", url)
        except HostError as error:
            if error.reason not in _NOT_TOLD:
                raise
            return None, None
        return frozenset(data["scope"]), None


def _end(date: Any) -> datetime | None:
    """Return the end of a token: midnight UTC at the beginning of the date."""
    return datetime.fromisoformat(date).replace(tzinfo=UTC) if date else None
