"""GitHub's error answers: their causes, and what a person can do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from stepway.hosts.access import HostAccess
from stepway.hosts.answers import message_of, retry_after
from stepway.hosts.errors import HostError, Reason

_LIMIT_WAIT = 60.0
"""Seconds to wait at least where a limit names none, as GitHub asks."""

_IMPLIED = {
    "repo": {"repo:status", "repo_deployment", "public_repo", "repo:invite", "security_events"},
    "admin:org": {"write:org", "read:org", "manage_runners:org"},
    "write:org": {"read:org"},
    "admin:repo_hook": {"write:repo_hook", "read:repo_hook"},
    "write:repo_hook": {"read:repo_hook"},
    "user": {"read:user", "user:email", "user:follow"},
}


@dataclass(frozen=True)
class _Known:
    """A message that GitHub answers with; `{credential}` in `remedy` is filled in."""

    pattern: str
    reason: Reason
    remedy: str = ""


_LIMITED = "API rate limit exceeded|secondary rate limit|abuse detection|submitted too quickly"

_KNOWN = (
    _Known(
        "organization SAML enforcement",
        Reason.SSO_REQUIRED,
        "Authorize the token of the credential {credential} for the organization (GitHub: "
        "Settings, Developer settings, the token, Configure SSO), then retry.",
    ),
    _Known(
        "Max number of login attempt",
        Reason.UNAUTHORIZED,
        "GitHub refuses all sign-ins for some minutes after many wrong ones. Store a valid token: "
        "`stepway credential set {credential} …`, then retry.",
    ),
    _Known(
        "'(Expiration time|Issued at)' claim|JSON web token could not be decoded",
        Reason.UNAUTHORIZED,
        "Check the clock of the worker, and the private key of the credential {credential}.",
    ),
    _Known(
        "Your account was suspended|account is suspended|installation has been suspended",
        Reason.FORBIDDEN,
        "Ask GitHub, or the owner of the organization, to lift the suspension.",
    ),
    _Known("archived so is read-only", Reason.ARCHIVED, "Unarchive the repository, then retry."),
    _Known(
        "Upgrade to GitHub|billing plan supports|Only organization repositories can",
        Reason.UNSUPPORTED,
        "This needs a higher plan, an organization, or a public repository.",
    ),
    _Known(
        "need admin access to the organization",
        Reason.FORBIDDEN,
        "Let the organization's owner allow the account of the credential {credential} to create "
        "repositories, or give its token that right.",
    ),
    _Known(
        "permissions requested are not granted",
        Reason.SCOPE_MISSING,
        "Give the App these permissions, and let the organization's owner accept them.",
    ),
    _Known(
        "Must have admin rights",
        Reason.FORBIDDEN,
        "Give the account of the credential {credential} the role Admin in the repository.",
    ),
    _Known("previous repository operation is still in progress", Reason.CONFLICT),
    _Known("Git Repository is empty", Reason.CONFLICT, "Push to the repository, then retry."),
    _Known(
        "Deploy keys are disabled",
        Reason.UNSUPPORTED,
        "Let an owner of the organization allow deploy keys, or use a token that may only read.",
    ),
    _Known("already exists|already in use|must be unique", Reason.NAME_TAKEN),
    _Known(
        "Repository rule violations",
        Reason.FORBIDDEN,
        "Change the repository's rules, or let the account of the credential {credential} bypass "
        "them.",
    ),
    _Known(
        "does not have 'workflow_dispatch' trigger",
        Reason.INVALID,
        "Add `workflow_dispatch` to the workflow's `on`.",
    ),
)


def explain(access: HostAccess) -> Callable[[httpx.Response, Any], HostError | None]:
    """Return the function that explains GitHub's error answers for this access."""

    def explained(response: httpx.Response, data: Any) -> HostError | None:
        return _explained(response, data, access)

    return explained


def _explained(response: httpx.Response, data: Any, access: HostAccess) -> HostError | None:
    status = response.status_code
    if status < 400 or status >= 500:
        return None
    said = said_by(data)
    host = urlsplit(access.url).netloc
    if status == 429 or (status == 403 and re.search(_LIMITED, said, re.IGNORECASE)):
        return _limited(response, host)
    if status in (403, 404) and (error := _right_missing(response, host, access.credential)):
        return error
    for known in _KNOWN:
        if re.search(known.pattern, said, re.IGNORECASE):
            remedy = known.remedy.format(credential=access.credential)
            return HostError(known.reason, f"{host}: {said}", remedy=remedy)
    return HostError(Reason.INVALID, f"{host} refuses it: {said}") if status == 422 else None


def _limited(response: httpx.Response, host: str) -> HostError:
    wait = retry_after(response)
    return HostError(
        Reason.RATE_LIMITED,
        f"{host} limits the rate of requests",
        retry_after=wait or _LIMIT_WAIT,
    )


def _right_missing(response: httpx.Response, host: str, credential: str) -> HostError | None:
    """Return the error that GitHub's headers tell: single sign-on, a scope or a permission."""
    required, _, details = response.headers.get("x-github-sso", "").partition(";")
    if required.strip() == "required":
        url = details.strip().removeprefix("url=")
        return HostError(
            Reason.SSO_REQUIRED,
            f"{host}: the organization requires single sign-on",
            remedy=f"Authorize the token of the credential {credential} at {url}, then retry.",
        )
    if missing := missing_scope(response.headers):
        return HostError(
            Reason.SCOPE_MISSING,
            f"{host}: the token lacks the scope {missing}",
            remedy=f"Give the token of the credential {credential} the scope {missing}, then "
            "retry.",
        )
    if "Resource not accessible by" in response.text:
        permission = response.headers.get("x-accepted-github-permissions")
        wanted = (permission or "").replace(";", " or").replace(",", ", ") or "for this"
        return HostError(
            Reason.SCOPE_MISSING,
            f"{host}: the token lacks the permission {wanted}",
            remedy=f"Give the token or App of the credential {credential} this permission, then "
            "retry.",
        )
    return None


def scopes_of(headers: Mapping[str, str]) -> frozenset[str] | None:
    """Return the scopes of a classic token, with those they include; None for other tokens."""
    given = headers.get("x-oauth-scopes")
    if given is None:
        return None
    scopes = set(_split(given))
    for _ in range(2):
        scopes |= {more for scope in scopes for more in _IMPLIED.get(scope, ())}
    return frozenset(scopes)


def missing_scope(headers: Mapping[str, str]) -> str | None:
    """Return the first scope that would have been accepted, if the token has none of them."""
    scopes = scopes_of(headers)
    accepted = list(_split(headers.get("x-accepted-oauth-scopes", "")))
    if scopes is None or not accepted or scopes & set(accepted):
        return None
    return "repo" if "repo" in accepted else accepted[0]


def _split(scopes: str) -> Iterable[str]:
    return (scope.strip() for scope in scopes.split(",") if scope.strip())


def said_by(data: Any) -> str:
    """Return GitHub's message with the messages of its `errors`, as one short text."""
    if not isinstance(data, Mapping):
        return message_of(data)
    parts = [message_of(data.get("message") or "")]
    for error in data.get("errors") or ():
        if isinstance(error, Mapping):
            parts.append(
                str(error.get("message") or f"{error.get('field', '')} {error.get('code', '')}")
            )
        else:
            parts.append(str(error))
    return message_of("; ".join(part.strip() for part in parts if part.strip()))
