"""Gitea's and Forgejo's own error answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from stepway.hosts.access import HostAccess
from stepway.hosts.answers import message_of
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.http import Explain

_SCOPE = re.compile(r"at least one of required scope\(s\)[,:] (?:required=)?\[(?P<needed>[^\]]*)\]")
_TOKEN_SCOPE = re.compile(r"token scope=(?P<scopes>\S*)")
_EXISTS = re.compile(
    r"already (exists?|been added|is added)|is already added|title has been used", re.IGNORECASE
)
_LEFT_OVER = "files already exist"


def explainer(access: HostAccess) -> Explain:
    """Return the function that explains the answers of this host."""
    host, credential = urlsplit(access.url).netloc, access.credential

    def explain(response: httpx.Response, data: Any) -> HostError | None:
        status, said = response.status_code, message_of(data) if data else ""
        if status == 401:
            return _unauthorized(host, credential, said)
        if status == 403 and (error := _scope(host, credential, said)) is not None:
            return error
        if _LEFT_OVER in said:
            return left_over_files(host, said)
        if status in (403, 409, 422) and _EXISTS.search(said):
            return HostError(Reason.NAME_TAKEN, f"{host} refuses: {said}")
        if status == 413 or "reached maximum limit" in said:
            return HostError(
                Reason.FORBIDDEN,
                f"{host} refuses, a quota is used up: {said}",
                remedy="Delete something, or ask an administrator for a larger quota.",
            )
        if status == 422 and "user does not exist" in said:
            return HostError(
                Reason.NOT_FOUND, f"{host} refuses: {said}", remedy="Check the user name."
            )
        if status == 422 and isinstance(data, Mapping) and data.get("invalidTopics"):
            return HostError(
                Reason.INVALID, f"{host} refuses topics: {', '.join(data['invalidTopics'])}"
            )
        return None

    return explain


def left_over_files(host: str, said: str = "") -> HostError:
    """Return the error for files of a repository that is not in the host's database."""
    return HostError(
        Reason.NAME_TAKEN,
        f"Files of an earlier, half-done creation are in the way at {host}: {said}",
        remedy="An administrator can adopt or delete them: Site Administration, Repositories, "
        "Unadopted Repositories. Or choose another name.",
    )


def _unauthorized(host: str, credential: str, said: str) -> HostError:
    return HostError(
        Reason.UNAUTHORIZED,
        f"{host} refuses the token of the credential {credential}: {said}",
        remedy="It is wrong, expired or revoked. Store a valid token: "
        f"`stepway credential set {credential} --kind gitea`, then retry.",
    )


def _scope(host: str, credential: str, said: str) -> HostError | None:
    if "token scope is limited to public repos" in said:
        return HostError(
            Reason.SCOPE_MISSING,
            f"The token of the credential {credential} reaches only public repositories at {host}",
            remedy="Create a token for all repositories, store it with "
            f"`stepway credential set {credential} --kind gitea`, then retry.",
        )
    found = _SCOPE.search(said)
    if found is None:
        return None
    needed = " or ".join(found["needed"].replace(",", " ").split())
    has = _TOKEN_SCOPE.search(said)
    return HostError(
        Reason.SCOPE_MISSING,
        f"The token of the credential {credential} lacks the scope {needed} at {host}"
        + (f"; it has {has['scopes'] or 'none'}" if has else ""),
        remedy=f"Create a token that also has {needed}, store it with "
        f"`stepway credential set {credential} --kind gitea`, then retry.",
    )
