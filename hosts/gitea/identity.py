"""The account behind a token, and the token's scopes."""

from __future__ import annotations

from collections.abc import Sequence

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitea.api import GiteaApi
from stepway.hosts.host import Feature, Identity

# Nothing can have the name "-". A host checks the scope first, then whether the object is there:
# these requests change nothing and tell whether the token has the scope.
_PROBES = {
    "write:repository": ("PATCH", "repos/-/-", {}),
    "write:organization": ("POST", "orgs/-/repos", {"name": "-"}),
    "write:user": ("DELETE", "user/keys/0", None),
}


class Tokens(GiteaApi):
    """Access tokens. A host never tells a token's scopes, except in a refusal."""

    async def identity(self) -> Identity:
        """Return the account; without the scope read:user, the account of the credential."""
        account = await self.login() or self.access.account
        if not account:
            raise HostError(
                Reason.SCOPE_MISSING,
                f"The token of the credential {self.access.credential} lacks the scope read:user, "
                "and the credential names no account",
                remedy="Create a token that also has read:user, or name the account: "
                f"`stepway credential set {self.access.credential} --kind gitea --account …`.",
            )
        return Identity(account)

    async def login(self) -> str | None:
        """Return the name of the token's account; None if it lacks the scope read:user."""
        try:
            return str((await self.http.call("GET", "user"))["login"])
        except HostError as error:
            if error.reason is Reason.SCOPE_MISSING:
                return None
            raise

    async def missing_scopes(self, needed: Sequence[Feature], *, workflows: bool) -> list[str]:
        """Return the write scopes that the token lacks, for the credential's own account.

        A person's repositories need write:user, an organization's write:organization.
        """
        account = self.access.account.casefold()
        login = (await self.login() or "").casefold()
        personal = not account or account == login
        scopes = ("write:repository", "write:user" if personal else "write:organization")
        return [scope for scope in scopes if await self._lacks(scope)]

    async def _lacks(self, scope: str) -> bool:
        method, path, body = _PROBES[scope]
        try:
            await self.http.call(method, path, body, missing=True)
        except HostError as error:
            if error.reason is Reason.SCOPE_MISSING:
                return True
            if error.may_succeed_later or error.reason is Reason.UNAUTHORIZED:
                raise
        return False
