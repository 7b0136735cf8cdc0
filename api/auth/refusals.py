"""Errors of sign-in, authorization and rate limits.

Refusal
├── NotSignedIn       401  no valid credential
├── Forbidden         403  not allowed
├── TooMany           429  rate limit exceeded; with Retry-After
└── SignInUnavailable 503  the identity provider is unavailable
"""

from __future__ import annotations

from http import HTTPStatus

from stepway_tracking.record.errors import StepwayError


class Refusal(StepwayError):
    """Base class. The message is shown to people; `headers` are added to the response."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self, text: str, **headers: str) -> None:
        super().__init__(text)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class NotSignedIn(Refusal):
    """The credential is missing, wrong, expired or revoked; the response does not say which."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(
        self, text: str = "Sign in: send a token as `Authorization: Bearer TOKEN`."
    ) -> None:
        super().__init__(text, WWW_Authenticate="Bearer")


class Forbidden(Refusal):
    """The caller is signed in but not allowed to do this."""


class TooMany(Refusal):
    """A rate limit is exceeded; the caller may try again in `seconds`."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text, Retry_After=str(max(1, round(seconds))))


class SignInUnavailable(Refusal):
    """The OpenID provider's keys cannot be fetched, so JWTs cannot be verified."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
