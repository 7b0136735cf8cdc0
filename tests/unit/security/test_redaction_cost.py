"""Redaction is linear: twice the text takes twice the time, for any text. `python -m benchmarks
redaction` measures the time itself.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepway.vault.redaction import Redactor
from tests.support.adversaries import PIECES

SIZE = 100_000
SLACK = 3.0
"""How many times longer than the doubling a measurement may be because of noise. A quadratic search
takes four times as long, at several sizes in a row.
"""


def seconds(text: str) -> float:
    redactor = Redactor()
    redactor.learn("a secret that is known")
    redactor.text("")
    best = float("inf")
    for _ in range(3):
        started = time.thread_time()
        redactor.text(text)
        best = min(best, time.thread_time() - started)
    return best


def assert_linear(unit: str) -> None:
    small, large = (seconds((unit * (size // len(unit) + 1))[:size]) for size in (SIZE, 8 * SIZE))
    # Below a few ms all is noise. Quadratic would be 64 times.
    assert large < 8 * SLACK * max(small, 0.004), f"{unit[:60]!r}: {small:.3f} s, {large:.3f} s"


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece[:24])
def test_repeated_beginning_of_a_shape_takes_no_longer_a_character(piece: str) -> None:
    assert_linear(piece)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.sampled_from(PIECES),
            st.text("aA1-_.~:/@=+ \n\"'eyJ", max_size=20),
            st.integers(1, 9_000).map("a".__mul__),
        ),
        min_size=1,
        max_size=5,
    )
    .map("".join)
    .filter(bool)
)
def test_any_mixture_of_beginnings_takes_no_longer_a_character(unit: str) -> None:
    assert_linear(unit)


def test_many_known_secrets_cost_little_more_than_one() -> None:
    redactor = Redactor()
    for number in range(2_000):
        redactor.learn(f"secret number {number:06} of many")
    redactor.text("")
    text = "secret number 00000 of many; " * 30_000
    started = time.thread_time()
    redactor.text(text)
    assert time.thread_time() - started < 1


def test_least_recently_used_secret_is_forgotten_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stepway.vault.known.MOST", 2)
    redactor = Redactor()
    for secret in ("first secret", "second secret", "first secret", "third secret"):
        redactor.learn(secret)
    assert redactor.text("first secret, third secret") == "[redacted], [redacted]"
    assert redactor.text("second secret") == "second secret"
