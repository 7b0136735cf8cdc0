"""GitLab's own error answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from stepway.hosts.access import HostAccess
from stepway.hosts.answers import message_of
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.http import Explain

MARKED = "marked for deletion"
"""In the answer to the deletion of a project that waits for it already."""

_BEING_DELETED = "still being deleted"
_EXISTS = ("has already been taken", "already exists", "has already been shared")


def explainer(access: HostAccess) -> Explain:
    """Return the function that explains the answers of this host."""
    host, credential = urlsplit(access.url).netloc, access.credential

    def explain(response: httpx.Response, data: Any) -> HostError | None:
        said = message_of(data)
        match response.status_code:
            case 401:
                return _unauthorized(host, credential, said)
            case 403:
                return _forbidden(host, credential, data, said)
            case 400 | 409 | 422:
                return _refused(host, credential, data, said)
        return None

    return explain


def _unauthorized(host: str, credential: str, said: str) -> HostError:
    return HostError(
        Reason.UNAUTHORIZED,
        f"{host} refuses the token of the credential {credential}: {said}",
        remedy="It is wrong, expired or revoked. Store a valid token: "
        f"`stepway credential set {credential} --kind gitlab`, then retry.",
    )


def _forbidden(host: str, credential: str, data: Any, said: str) -> HostError | None:
    if isinstance(data, Mapping) and data.get("error") == "insufficient_scope":
        scope = data.get("scope") or "api"
        return HostError(
            Reason.SCOPE_MISSING,
            f"The token of the credential {credential} lacks a scope at {host}: "
            f"{' or '.join(str(scope).split())}",
            remedy="Create a token with the scope api, store it with "
            f"`stepway credential set {credential} --kind gitlab`, then retry.",
        )
    if "archived" in said.casefold():
        return HostError(
            Reason.ARCHIVED,
            f"{host} refuses: {said}",
            remedy="Unarchive the project in its settings, then retry.",
        )
    return None


def _refused(host: str, credential: str, data: Any, said: str) -> HostError | None:
    fields = _fields(data)
    if "is not valid" in fields.get("namespace", ""):
        return HostError(
            Reason.FORBIDDEN,
            f"{host} does not let the credential {credential} create projects in this group",
            remedy="Give its account a role that may create projects there. A project access "
            "token cannot create projects: use a personal or a group access token.",
        )
    if "visibility_level" in fields or "is not allowed in a" in said:
        return HostError(
            Reason.INVALID,
            f"{host} refuses the visibility: {fields.get('visibility_level', said)}",
            remedy="Choose a visibility that the group allows: "
            "a project cannot be more visible than its group.",
        )
    if _BEING_DELETED in said:
        return HostError(
            Reason.CONFLICT, f"{host} still deletes what has the name: {said}", retry_after=10.0
        )
    if any(words in said for words in _EXISTS):
        return HostError(Reason.NAME_TAKEN, f"{host} refuses: {said}")
    return None


def _fields(data: Any) -> dict[str, str]:
    """Return the messages about each field of the request."""
    message = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(message, Mapping):
        return {}
    return {str(field): message_of(texts) for field, texts in message.items()}
