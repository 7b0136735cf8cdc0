"""What hosts say in headers and error bodies."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from stepway.hosts.answers import LONGEST_WAIT, message_of, retry_after


def waiting(headers: dict[str, str]) -> float | None:
    """Return how long an answer with these headers asks to wait."""
    return retry_after(httpx.Response(429, headers=headers))


@pytest.mark.parametrize("given", ["30", "30.0", " 30"])
def test_retry_after_in_seconds(given: str) -> None:
    assert waiting({"Retry-After": given}) == 30.0


@pytest.mark.parametrize("form", [lambda at: format_datetime(at, usegmt=True), format_datetime])
def test_retry_after_as_a_date(form: Any) -> None:
    found = waiting({"Retry-After": form(datetime.now(UTC) + timedelta(minutes=10))})
    assert found == pytest.approx(600, abs=60)


def test_retry_after_as_a_date_without_a_zone() -> None:
    at = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%a, %d %b %Y %H:%M:%S -0000")
    assert waiting({"Retry-After": at}) == pytest.approx(600, abs=60)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("-5", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("-inf", 0.0),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999", None),
    ],
)
def test_retry_after_that_has_passed_or_is_none(given: str, seconds: float | None) -> None:
    assert waiting({"Retry-After": given}) == seconds


@pytest.mark.parametrize("given", ["0.2", "1e-9"])
def test_retry_after_is_a_second_at_least(given: str) -> None:
    assert waiting({"Retry-After": given}) == 1.0


@pytest.mark.parametrize("given", ["inf", "1e400", "9999999999", "Wed, 21 Oct 9999 07:28:00 GMT"])
def test_retry_after_is_bounded(given: str) -> None:
    assert waiting({"Retry-After": given}) == LONGEST_WAIT


@pytest.mark.parametrize(("reset", "seconds"), [("9" * 400, LONGEST_WAIT), ("\xb2", None)])
def test_a_reset_that_is_no_time(reset: str, seconds: float | None) -> None:
    headers = [(b"RateLimit-Remaining", b"0"), (b"RateLimit-Reset", reset.encode("latin-1"))]
    assert retry_after(httpx.Response(429, headers=headers)) == seconds


def test_the_reset_of_a_limit_that_is_used_up() -> None:
    epoch = str(int(time.time()) + 600)
    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": epoch}
    assert waiting(used_up) == pytest.approx(600, abs=60)
    assert waiting({"RateLimit-Remaining": "0", "RateLimit-Reset": "45"}) == 45.0
    assert waiting({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": epoch}) is None
    assert waiting({"Retry-After": "5", **used_up}) == 5.0


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"message": "Not Found"}, "Not Found"),
        ({"message": {"name": ["has been taken"]}}, "name has been taken"),
        ({"message": ["one", "two"]}, "one; two"),
        ({"error": "invalid_token", "error_description": "revoked"}, "revoked"),
        ("plain\n text", "plain text"),
    ],
)
def test_a_message_has_one_line(data: Any, text: str) -> None:
    assert message_of(data) == text


def test_a_message_is_short() -> None:
    assert len(message_of({"message": "x" * 10_000})) <= 300
