"""What a client command can fail with; the text of each is what the person reads.

ClientError
├── ApiUnreachable      nothing answered at STEPWAY_API_URL
├── AnswerLost          the request went out and no answer came back
└── ApiRefused          the API answered with a problem (RFC 9457)
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any


class ClientError(Exception):
    """Base of what a client command can fail with; its text is what the person reads."""


class ApiUnreachable(ClientError):
    """Nothing answered at the API's address."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"no Stepway API responds at {url}; "
            "start one with `stepway up`, or set STEPWAY_API_URL to its address"
        )


class AnswerLost(ClientError):
    """The request went out and the connection broke, so it may or may not have been taken."""

    def __init__(self, url: str) -> None:
        super().__init__(f"the connection to {url} was lost before the response arrived")


class ApiRefused(ClientError):
    """The API answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def problem_text(status: int, problem: dict[str, Any]) -> str:
    """A problem (RFC 9457) as lines: what is wrong, then each part of the input it names."""
    whole = str(problem.get("detail") or problem.get("title") or f"the API returned {status}")
    parts = [(_place(error), str(error["detail"])) for error in problem.get("errors") or []]
    lines = [whole, *(f"  {place}: {detail}" for place, detail in parts if detail not in whole)]
    if status == HTTPStatus.UNAUTHORIZED:
        lines.append("  set STEPWAY_API_TOKEN to a valid token")
    return "\n".join(lines)


def _place(error: dict[str, Any]) -> str:
    return str(error.get("name") or error.get("pointer") or "body")
