"""GitHub's answers when it limits or fails."""

from __future__ import annotations

import time

from tests.support.githost.answers import Answer

_DOCS = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"


def secondary_limit(retry_after: int | None = 30, *, status: int = 403) -> Answer:
    """Too many requests of one kind; `retry_after` may be missing."""
    message = (
        "You have exceeded a secondary rate limit and have been temporarily blocked from content "
        "creation. Please retry your request again later."
    )
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(status, {"message": message, "documentation_url": _DOCS}, headers)


def primary_limit(seconds: int = 1200, *, status: int = 403) -> Answer:
    """The hour's requests are used up; the reset is `seconds` from now."""
    headers = {
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(time.time()) + seconds),
    }
    message = "API rate limit exceeded for user ID 1."
    return Answer(status, {"message": message, "documentation_url": _DOCS}, headers)


def server_error() -> Answer:
    """GitHub has ended a request after ten seconds; its effect may be there."""
    return Answer(502, {"message": "Server Error"})


def unavailable() -> Answer:
    """GitHub's 503, which is a page."""
    return Answer(503, "<html><body><h1>503 Service Unavailable</h1></body></html>")
