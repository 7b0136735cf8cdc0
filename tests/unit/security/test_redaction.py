"""Secrets are removed from texts in all positions and spellings."""

from __future__ import annotations

import html
import json
import logging
import shlex
import time
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from stepway.vault.redacting_interceptor import redacted_error
from stepway.vault.redaction import REDACTED, SHORTEST, RedactingFormatter, Redactor, learn
from stepway_tracking.record.errors import step_error

SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=16).filter(
    lambda text: text.strip() == text
)
TEXTS = st.text(st.characters(codec="utf-8"))

LINE = "b3BlbnNzaC1rZXktdjEAAAAA"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{LINE}\n-----END OPENSSH PRIVATE KEY-----"
SHAPES = [
    "ghp_" + "a1B2" * 9,
    "github_pat_11ABCDE" + "x" * 60,
    "glpat-" + "x9Y_z" * 4,
    "AKIAIOSFODNN7EXAMPLE",
    "stepway_" + "Ab-_" * 10 + "xyz",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    KEY,
]


def redactor(*secrets: str) -> Redactor:
    found = Redactor()
    for secret in secrets:
        found.learn(secret)
    return found


@given(SECRETS, TEXTS, TEXTS)
def test_known_secret_is_in_no_text(secret: str, before: str, after: str) -> None:
    said = redactor(secret).text(before + secret + after)
    assert secret not in said.replace(REDACTED, "\n") or secret in REDACTED


@given(SECRETS)
def test_known_secret_is_found_however_it_is_spelt(secret: str) -> None:
    encoded = (
        json.dumps({"token": secret}),
        json.dumps({"token": secret}, ensure_ascii=False),
        f"https://x/?token={quote(secret, safe='')}",
        b64encode(secret.encode()).decode(),
        repr(secret),
    )
    for text in encoded:
        assert REDACTED in redactor(secret).text(text)


ODD = "quo\"te-ünd &/<-\\-back'slash>"


@pytest.mark.parametrize(
    "spelt",
    [
        ODD,
        json.dumps(ODD)[1:-1],
        json.dumps(ODD, ensure_ascii=False)[1:-1],
        repr(ODD)[1:-1],
        quote(ODD, safe=""),
        b64encode(ODD.encode()).decode().rstrip("="),
        b64encode(ODD.encode(), altchars=b"-_").decode().rstrip("="),
        ODD.encode().hex(),
        ODD.encode().hex().upper(),
        quote(ODD),
        quote_plus(ODD),
        json.dumps(json.dumps(ODD)[1:-1])[1:-1],
        json.dumps(json.dumps(ODD, ensure_ascii=False)[1:-1])[1:-1],
        json.dumps(json.dumps(ODD, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1],
        html.escape(ODD),
        html.escape(ODD, quote=False),
        html.escape(ODD, quote=False).replace('"', "&quot;"),
        html.escape(ODD, quote=False).replace('"', "&quot;").replace("'", "&apos;"),
        html.escape(ODD, quote=False).replace('"', "&quot;").replace("'", "&#39;"),
        html.escape(ODD, quote=False).replace('"', "&#34;").replace("'", "&#39;"),
        shlex.quote(ODD)[1:-1],
    ],
)
def test_secret_in_the_middle_of_other_text_is_found_as_a_whole(spelt: str) -> None:
    assert redactor(ODD).text(f"x{spelt}y") == f"x{REDACTED}y"


@given(SECRETS, st.data())
def test_secret_that_was_cut_through_is_found_at_either_end(
    secret: str, data: st.DataObject
) -> None:
    length = data.draw(st.integers(SHORTEST, len(secret)))
    known = redactor(secret)
    assert known.text(f"output: {secret[:length]}").startswith("output: ")
    assert secret[:length] not in known.text(f"output: {secret[:length]}")
    assert secret[-length:] not in known.text(f"…{secret[-length:]} done")


@given(TEXTS)
def test_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert redactor().text(text.replace("://", "")) == text.replace("://", "")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape[:12])
def test_known_shape_is_taken_out(shape: str) -> None:
    said = redactor().text(f"push failed with {shape}, see above")
    assert said == f"push failed with {REDACTED}, see above"


def test_several_shapes_in_a_text_are_taken_out() -> None:
    first, second = SHAPES[0], SHAPES[3]
    said = redactor().text(f"with {first} and with {second}, see above")
    assert said == f"with {REDACTED} and with {REDACTED}, see above"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "git clone https://bot:s3cret@git.example/x",
            "git clone https://bot:[redacted]@git.example/x",
        ),
        ("redis://:p@ss@host:6379/0", "redis://:[redacted]@host:6379/0"),
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [redacted]"),
        ("AWS_SECRET_ACCESS_KEY=" + "aB3/" * 10, "AWS_SECRET_ACCESS_KEY=[redacted]"),
        (KEY[:50], "[redacted]"),
    ],
    ids=lambda text: text[:16],
)
def test_what_tells_people_where_it_stood_is_kept(text: str, expected: str) -> None:
    assert redactor().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "https://git.example:8443/alice@example.com/x",
        "the bearer of this letter",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "postgresql://stepway@127.0.0.1:5432/stepway",
        "stepway_project_initialization_steps_progress_check",
        "No such file or directory: 'blueprints/web-service.yaml'",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redactor().text(text) == text


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ("Bearer a1bcdefghij2klmnop", True),
        ("Bearer aBcdefghij1klmnopq", True),
        ("Bearer abcdefghij1klmnopq", False),
        ("Bearer ABCDEFGHIJ1KLMNOPQ", False),
        ("Bearer abcdefghijKLMNOP12", False),
        ("Bearer 123e4567-e89b-12d3-a456-426614174000", True),
        ("Bearer 123E4567-E89B-12D3-A456-426614174000", True),
        ("Bearer a1b2c3d4e5f6g7h", False),
        ("Basic dXNlcjpwYXNzd29yZA==", True),
        ("Basic Y29uZmlndXJhdGlvbg==", False),
        ("Basic Configuration1", False),
    ],
)
def test_word_after_bearer_and_basic_is_a_secret_if_it_looks_random(
    text: str, is_secret: bool
) -> None:
    expected = f"{text.partition(' ')[0]} {REDACTED}" if is_secret else text
    assert redactor().text(text) == expected


@pytest.mark.parametrize("kept", ["s3cret-of-ours\n", "  s3cret-of-ours", "\ts3cret-of-ours\r\n"])
def test_secret_that_was_kept_with_white_space_is_found_without(kept: str) -> None:
    assert redactor(kept).text("x s3cret-of-ours y") == f"x {REDACTED} y"
    assert "s3cret" not in redactor(kept).text(f"x{kept}y")


def test_secret_that_is_too_short_to_be_told_from_words_is_not_learned() -> None:
    assert redactor("1234567").text("1234567 and 12345678") == "1234567 and 12345678"
    assert redactor("12345678").text("it is 12345678.") == f"it is {REDACTED}."


def test_short_line_of_a_long_secret_is_no_secret_itself() -> None:
    known = redactor("user: administrator\npassword: x\nshort line here\n")
    assert known.text("password: x, short line here") == "password: x, short line here"
    assert known.text("(user: administrator)") == f"({REDACTED})"


def test_several_secrets_and_the_longer_of_two_are_found() -> None:
    known = redactor("one-secret", "one-secret-and-more", "another-secret")
    text = "one-secret-and-more, another-secret, one-secret."
    assert known.text(text) == f"{REDACTED}, {REDACTED}, {REDACTED}."


def test_places_of_whole_secrets_are_told() -> None:
    known = redactor("my-own-secret").known
    found = [(start, stop, piece.secret) for start, stop, piece in known.whole("a my-own-secret!")]
    assert found == [(2, 15, "my-own-secret")]
    assert list(redactor().known.whole("a my-own-secret!")) == []


def test_text_with_half_a_surrogate_pair_is_searched_too() -> None:
    assert redactor("my-own-secret").text("\ud800 my-own-secret") == f"\ud800 {REDACTED}"
    assert redactor("half \ud800 a pair").text("x half \ud800 a pair") == f"x {REDACTED}"


@pytest.mark.parametrize(
    "text",
    ["{0}", "{0}x", "x{0}", "{0}{0}", "{0} {0}", "a\n{0}\nb", "…{0}…"],
)
def test_secret_at_any_place_is_found_once(text: str) -> None:
    known = redactor("secret-at-a-place")
    assert known.text(text.format("secret-at-a-place")) == text.format(REDACTED)


def test_lines_of_a_private_key_are_secrets_too() -> None:
    assert redactor(KEY).text(f"line: {LINE}!") == f"line: {REDACTED}!"


@pytest.mark.parametrize(
    "text",
    [
        "a://" * 25_000,
        "eyJ" * 33_000,
        "-----BEGIN PRIVATE KEY" * 4_500,
        "Bearer " * 14_000,
        "aws" * 33_000,
    ],
    ids=lambda text: text[:8],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.perf_counter()
    redactor("a secret that is known").text(text)
    assert time.perf_counter() - started < 3


@dataclass
class Made:
    """A result of a step."""

    url: str
    more: list[dict[str, str]]


def test_results_are_cleaned_inside_and_keep_their_type() -> None:
    known = redactor("hunter2hunter2")
    made = known.value(Made("x", [{"hunter2hunter2": "is hunter2hunter2"}]))
    assert made == Made("x", [{REDACTED: f"is {REDACTED}"}])
    clean = Made("x", [])
    assert known.value(clean) is clean


def test_error_is_rewritten_with_its_cause_details_and_decision_to_retry() -> None:
    learn("correct-horse-battery")
    try:
        try:
            raise KeyError("correct-horse-battery")
        except KeyError as cause:
            raise step_error(
                "no correct-horse-battery", remedy="say correct-horse-battery", retry=False
            ) from cause
    except ApplicationError as error:
        clean = redacted_error(error)
    assert isinstance(clean, ApplicationError)
    assert (clean.message, clean.non_retryable) == (f"no {REDACTED}", True)
    assert clean.details[0] == {"remedy": f"say {REDACTED}"}
    assert str(clean.__cause__) == f"KeyError: KeyError: '{REDACTED}'"


def test_error_without_a_secret_is_the_very_same() -> None:
    error = RuntimeError("nothing to hide")
    assert redacted_error(error) is error


def test_log_line_and_its_stack_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    learn("swordfish-swordfish")
    try:
        raise RuntimeError("swordfish-swordfish")
    except RuntimeError:
        logging.getLogger("tests").exception("with %s", "swordfish-swordfish")
    line = RedactingFormatter("%(message)s").format(caplog.records[-1])
    assert "swordfish" not in line
    assert "RuntimeError" in line
