"""The one error of Git hosts: it names the cause, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from stepway_tracking.record.errors import StepwayError


class Reason(StrEnum):
    """Why a host did not do what was asked."""

    UNREACHABLE = "unreachable"
    """No connection: name, port, proxy, network."""
    TIMED_OUT = "timed_out"
    """No answer in time; the host may have done what was asked."""
    CERTIFICATE = "certificate"
    """The host's certificate is not trusted."""
    NOT_JSON = "not_json"
    """The answer is not from the host's API: a proxy's page, a sign-in page."""
    SERVER_ERROR = "server_error"
    """5xx; the host may have done what was asked."""
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"
    """The token is wrong, expired or revoked."""
    SCOPE_MISSING = "scope_missing"
    SSO_REQUIRED = "sso_required"
    """The organization requires that the token is authorized for single sign-on."""
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    """It does not exist, is not yet visible, or the token may not see it."""
    NAME_TAKEN = "name_taken"
    """Another object has that name."""
    CONFLICT = "conflict"
    """The present state does not allow it; a later attempt may succeed."""
    ARCHIVED = "archived"
    INVALID = "invalid"
    """The host refuses a value."""
    UNKNOWN = "unknown"
    """The host may have done what was asked, and offers no way to find out."""
    UNSUPPORTED = "unsupported"
    """This host, or its version or plan, has no such feature."""


_LATER = frozenset(
    {
        Reason.UNREACHABLE,
        Reason.TIMED_OUT,
        Reason.NOT_JSON,
        Reason.SERVER_ERROR,
        Reason.RATE_LIMITED,
        Reason.CONFLICT,
    }
)

UNCERTAIN = frozenset({Reason.TIMED_OUT, Reason.SERVER_ERROR, Reason.NOT_JSON, Reason.UNREACHABLE})
"""After these the host may have done what was asked: look it up before asking again."""


class HostError(StepwayError):
    """A request that a host did not carry out.

    `message` is a sentence without a full stop; `remedy` says what a person can do. `retry_after`
    are the seconds that the host asks to wait; None if it names none. `sent_at` is the time, on
    `time.monotonic`, of a request that got no answer from the host and may still take effect.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        remedy: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        sent_at: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.remedy = remedy
        self.status = status
        self.retry_after = retry_after
        self.sent_at = sent_at

    @property
    def details(self) -> Mapping[str, Any]:
        """More of the host's own words, for people; empty if there are none."""
        return {}

    @property
    def may_succeed_later(self) -> bool:
        """Whether the same request may succeed without a change by a person."""
        return self.reason in _LATER

    @property
    def is_taken(self) -> bool:
        """Whether the object, or another of its name, exists already."""
        return self.reason is Reason.NAME_TAKEN
