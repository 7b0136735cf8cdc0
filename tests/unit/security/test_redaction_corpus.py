"""Secrets that are recognized by their form: 200 tokens in their makers' formats, 2,000 ordinary
texts.

All tokens of the corpus are made up. The ordinary texts are sentences and identifiers as git,
Kubernetes, Terraform, package managers and this repository's documents write them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepway.vault.redaction import REDACTED, Redactor
from stepway.vault.shapes import find
from tests.support.adversaries import PIECES

CORPUS = Path(__file__).parent / "corpus"
ORDINARY = (CORPUS / "ordinary.txt").read_text().splitlines()
SECRETS = [json.loads(line) for line in (CORPUS / "secrets.jsonl").read_text().splitlines()]

# Held outside the corpus too, since nobody else would notice it missing there.
WORDY = [
    "A basic microservice-template-v2",
    "Basic 2-legged-authentication-flow",
    "the bearer template-20241125-v2-final",
    "bearer service2024release10",
    "Authorization: Bearer authentication is required",
    "https://example.com:443/?mail=a@example.com",
    "postgresql://app:${DB_PASSWORD}@db/shop",
    "amqp://guest:***@broker:5672",
    "key-value-store-of-the-template-0123456789",
    "sk-learn-pipeline-with-more-words",
    "-----BEGIN CERTIFICATE-----",
]


NOT_LATIN = [
    "postgresql://app:пароль@db/shop",
    "postgresql://приложение:s3cret@db/shop",
    "令牌：ghp_" + "a1B2" * 9 + "，失败",
    "\ud800 ghp_" + "a1B2" * 9,
    "😀 glpat-" + "x9Y_z" * 4,
]


def test_corpora_are_as_large_as_they_are_said_to_be() -> None:
    assert len(set(ORDINARY)) == 2_000
    assert len({each["secret"] for each in SECRETS}) >= 200


@pytest.mark.parametrize("text", WORDY)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


def test_no_ordinary_text_is_taken_for_a_secret() -> None:
    redactor = Redactor()
    assert [text for text in ORDINARY if redactor.text(text) != text] == []


def test_no_token_is_missed() -> None:
    redactor = Redactor()
    missed = [
        (each["kind"], each["text"])
        for each in SECRETS
        if each["secret"] in (said := redactor.text(each["text"])) or REDACTED not in said
    ]
    assert missed == []


def test_prefilter_lets_no_token_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*(each["text"] for each in SECRETS), *ORDINARY, *PIECES, *NOT_LATIN]
    texts += [" ".join(texts[place : place + 40]) for place in range(0, len(texts), 40)]
    quick = [list(find(text)) for text in texts]
    monkeypatch.setattr("stepway.vault.shapes.FEW", 0)
    assert quick == [list(find(text)) for text in texts]
    assert sum(map(len, quick)) > 400


@given(st.lists(st.sampled_from([*PIECES, *(each["text"] for each in SECRETS)]), max_size=6))
def test_prefilter_finds_what_the_pattern_finds_in_any_mixture(parts: list[str]) -> None:
    text = "".join(parts)
    quick = list(find(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stepway.vault.shapes.FEW", 0)
        assert quick == list(find(text))


@pytest.mark.parametrize("text", NOT_LATIN)
def test_secret_beside_or_of_other_letters_is_found(text: str) -> None:
    assert REDACTED in Redactor().text(text)


def test_what_is_redacted_stays_as_it_is_when_redacted_again() -> None:
    redactor = Redactor()
    for each in SECRETS:
        once = redactor.text(each["text"])
        assert redactor.text(once) == once
