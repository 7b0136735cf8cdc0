"""Each failure to read a template has a message and a remedy, with what is known about it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stepway.activities.templates.errors import Subject, template_failure
from stepway.activities.templates.fetch_failure import Failure

URL = "https://git.example.com/acme/tpl.git"
FOUND: dict[str, Any] = {
    "status": 503,
    "retry_after": "7",
    "to": "https://new.example.com/tpl.git",
    "path": "a/{host}/b",
    "tags": ["v1.0"],
    "branches": ["main"],
    "text": "said {url}",
}
LATER = {Failure.UNREACHABLE, Failure.BUSY, Failure.DISK}


def subject(credential: str = "", *, known_hosts: bool = False) -> Subject:
    return Subject(URL, "v1.1", credential, known_hosts, "1 MB or 5 files")


@pytest.mark.parametrize("credential", ["", "tpl"])
@pytest.mark.parametrize("failure", list(Failure))
def test_each_has_a_message_and_a_remedy(failure: Failure, credential: str) -> None:
    error = template_failure(subject(credential), {**FOUND, "failure": failure.value})
    remedy = error.details[0]["remedy"]
    assert error.non_retryable is (failure not in LATER)
    for text in (error.message, remedy):
        assert text
        # Nothing of a template is left but what the host itself has said.
        assert not re.search(r"\{(?!host\}/b|url\}$)", text)


@pytest.mark.parametrize("failure", [Failure.CERTIFICATE, Failure.UNAUTHORIZED, Failure.NOT_FOUND])
def test_a_credential_is_named_where_there_is_one(failure: Failure) -> None:
    found = {**FOUND, "failure": failure.value}
    shown = [
        (error.message, error.details[0]["remedy"])
        for error in (template_failure(subject("tpl"), found), template_failure(subject(), found))
    ]
    assert shown[0] != shown[1]


def test_a_stored_key_that_is_not_the_hosts_is_said() -> None:
    found = {"failure": Failure.HOST_KEY.value}
    error = template_failure(subject("tpl", known_hosts=True), found)
    assert "stored with the credential 'tpl'" in error.message
    assert "is not known" in template_failure(subject("tpl"), found).message
