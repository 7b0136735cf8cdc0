"""Errors of the client commands. Their messages are shown to people.

ClientError
├── ApiUnreachable      no API responds at STEPWAY_API_URL
├── AnswerLost          the request was sent but no response arrived
└── ApiRefused          the API responded with a problem (RFC 9457)
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any


class ClientError(Exception):
    """Base class."""


class ApiUnreachable(ClientError):
    """No API responds at the address."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"no Stepway API responds at {url}; "
            "start one with `stepway up`, or set STEPWAY_API_URL to its address"
        )


class AnswerLost(ClientError):
    """The connection broke after the request was sent, so it may have taken effect."""

    def __init__(self, url: str) -> None:
        super().__init__(f"the connection to {url} was lost before the response arrived")


class ApiRefused(ClientError):
    """The API responded with an error; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def problem_text(status: int, problem: dict[str, Any]) -> str:
    """Format a problem (RFC 9457): its detail, then a line for each invalid part of the input."""
    whole = str(problem.get("detail") or problem.get("title") or f"the API returned {status}")
    parts = [(_place(error), str(error["detail"])) for error in problem.get("errors") or []]
    lines = [whole, *(f"  {place}: {detail}" for place, detail in parts if detail not in whole)]
    if status == HTTPStatus.UNAUTHORIZED:
        lines.append("  set STEPWAY_API_TOKEN to a valid token")
    return "\n".join(lines)


def _place(error: dict[str, Any]) -> str:
    return str(error.get("name") or error.get("pointer") or "body")
