"""Why a request is turned away before anything is done for it.

Refusal
├── NotSignedIn     401  nobody, or nobody any more
├── Forbidden       403  may see it, but not do this
├── TooMany         429  too much at once; says when to come back
└── SignInAway      503  who it is cannot be found out now
"""

from __future__ import annotations

from http import HTTPStatus

from stepway_tracking.record.errors import StepwayError


class Refusal(StepwayError):
    """Base; the text is for people, `headers` go with the answer."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self, text: str, **headers: str) -> None:
        super().__init__(text)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class NotSignedIn(Refusal):
    """No credential, or one that is wrong, expired or revoked: the answer does not say which."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(
        self, text: str = "Sign in: send a token as `Authorization: Bearer TOKEN`."
    ) -> None:
        super().__init__(text, WWW_Authenticate="Bearer")


class Forbidden(Refusal):
    """The person may see it, but not do this."""


class TooMany(Refusal):
    """Too much at once; `seconds` from now it is worth another try."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text, Retry_After=str(max(1, round(seconds))))


class SignInAway(Refusal):
    """The OpenID provider's keys cannot be had: nobody is let in on trust."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
