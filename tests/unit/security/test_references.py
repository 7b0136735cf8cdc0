"""A known secret goes from one attempt to the next as a reference that nobody else can use."""

from __future__ import annotations

import html
import json
import re
import shlex
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from pydantic import BaseModel
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from stepway.vault.errors import KeyMissing, Undecipherable
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.known import SecretName
from stepway.vault.redaction import PROCESS, REDACTED, KnownSecrets, redact
from stepway.vault.references import References
from stepway.vault.sealing import SealedParameters, Seals, hide_seals
from stepway.vault.vault import CredentialRefused, Secret

CONVERTER = DataConverter.default.payload_converter
KEYRING = Keyring(parse_keys(new_key("first")))
SECRET = 'hunter2/"über"-hunter2'
TOKEN = "ghp_" + "a1B2" * 9
KEY = "-----BEGIN PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAA\n" * 3


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(PROCESS, "known", KnownSecrets())
    PROCESS.learn(SECRET, SecretName("alice", "token"))
    PROCESS.learn(KEY, SecretName("alice", "key"))
    yield


def vault(**secrets: str) -> Callable[[str, str], Awaitable[Secret | None]]:
    async def find(owner: str, name: str) -> Secret | None:
        assert owner == "alice"
        return Secret("bot", secrets[name]) if name in secrets else None

    return find


def references(**secrets: str) -> References:
    return References(KEYRING, vault(**(secrets or {"token": SECRET, "key": KEY})))


class Result(NamedTuple):
    url: str


class Model(BaseModel):
    url: str


def sent(value: Any, project: str = "p") -> Any:
    """A result as Temporal receives it, as the next activity's argument."""
    payload = references().put_into(project, CONVERTER.to_payload(value))
    for text in (
        SECRET,
        json.dumps(SECRET)[1:-1],
        quote(SECRET, safe=""),
        "b3BlbnNzaC1rZXktdjEAAAAA",
    ):
        assert text not in payload.data.decode()
    return CONVERTER.from_payload(payload)


async def received(value: Any, project: str = "p", by: References | None = None) -> Any:
    """An argument as an attempt receives it."""
    payload = await (by or references()).resolve(project, CONVERTER.to_payload(value))
    return CONVERTER.from_payload(payload)


@pytest.mark.parametrize(
    "text",
    [
        f"https://bot:{SECRET}@git.example/x",
        f"{SECRET}{SECRET} and {SECRET}",
        json.dumps({"token": SECRET}),
        json.dumps({"token": SECRET}, ensure_ascii=False),
        f"https://x/?token={quote(SECRET, safe='')}",
        f"the end of the output … {SECRET[:12]}",
        f"…{SECRET[-12:]} was the end",
        f"one line: {KEY.splitlines()[1]}",
        SECRET.encode().hex(),
        f"<a href='{html.escape(SECRET)}'>",
        json.dumps(json.dumps({"token": SECRET})),
        f"curl -H {shlex.quote(SECRET)}",
        KEY,
    ],
)
async def test_secret_arrives_as_it_was_sent_and_is_not_in_what_is_sent(text: str) -> None:
    on_its_way = sent({"a": [text], text: 1})
    assert "[stepway-secret:first:" in json.dumps(on_its_way)
    assert REDACTED in redact(json.dumps(on_its_way))
    assert "stepway-secret" not in redact(json.dumps(on_its_way))
    assert await received(on_its_way) == {"a": [text], text: 1}


@pytest.mark.parametrize(
    "value",
    [
        f"push with {TOKEN}",
        "postgresql://app:s3cr3t@db/shop",
        {"a": f"Authorization: Bearer {TOKEN}"},
    ],
)
async def test_text_that_merely_looks_like_a_secret_arrives_as_it_is(value: Any) -> None:
    assert redact(json.dumps(value)) != json.dumps(value)
    payload = CONVERTER.to_payload(value)
    assert references().put_into("p", payload) is payload
    assert await references().resolve("p", payload) is payload


@pytest.mark.parametrize(
    "value", [Result(SECRET), Model(url=SECRET), [SECRET], SECRET.encode()], ids=str
)
async def test_results_of_every_kind_travel(value: Any) -> None:
    got = await received(sent(value))
    assert got == CONVERTER.from_payload(CONVERTER.to_payload(value))


async def test_result_however_deep_travels() -> None:
    deep: Any = SECRET
    for _ in range(300):
        deep = [deep]
    payload = references().put_into("p", CONVERTER.to_payload(deep))
    assert payload.data.startswith(b"[" * 300 + b'"[stepway-secret:first:')


async def test_reference_gives_the_secret_as_it_is_now() -> None:
    on_its_way = sent(f"x {SECRET}")
    assert await received(on_its_way, by=references(token="the new one")) == "x the new one"


async def test_reference_without_a_key_names_the_credential_and_not_its_secret() -> None:
    unsealed = References(None, vault(token=SECRET))
    payload = unsealed.put_into("p", CONVERTER.to_payload(f"x {SECRET}"))
    [(key_id, encoded)] = re.findall(r"\[stepway-secret:([^:]*):([^\]]+)\]", payload.data.decode())
    said = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    assert key_id == ""
    assert said == {
        "owner": "alice",
        "name": "token",
        "spelling": "plain",
        "start": 0,
        "stop": None,
    }


async def test_reference_of_another_project_stays_beside_ones_own() -> None:
    foreign = sent(SECRET, project="hers")
    on_its_way = sent(f"{SECRET} and {foreign}")
    assert await received(on_its_way) == f"{SECRET} and {foreign}"


@pytest.mark.parametrize("text", ["the end … from nowhe", "…ere at all was it"])
async def test_part_of_a_secret_of_unknown_origin_stays_as_it_is(text: str) -> None:
    PROCESS.learn("from nowhere at all")
    payload = CONVERTER.to_payload(text)
    assert references().put_into("p", payload) is payload


async def test_reference_is_of_no_use_to_another_project() -> None:
    on_its_way = sent(SECRET, project="hers")
    assert await received(on_its_way, "his") == on_its_way


@pytest.mark.parametrize("key_id", ["", "first"])
async def test_reference_cannot_be_made_up(key_id: str) -> None:
    said = json.dumps(
        {"owner": "alice", "name": "token", "spelling": "plain", "start": 0, "stop": None}
    )
    forged = Seals(None).seal(said, "").replace("secret::", f"secret:{key_id}:")
    assert await received(forged) == forged


async def test_credential_that_is_gone_fails_the_attempt_with_a_remedy() -> None:
    on_its_way = sent(SECRET)
    with pytest.raises(ApplicationError, match="credential 'token' no longer exists") as caught:
        await received(on_its_way, by=references(other="x"))
    assert "restore" in caught.value.details[0]["remedy"]


async def test_key_that_is_missing_fails_the_attempt() -> None:
    on_its_way = sent(SECRET)
    other = References(Keyring(parse_keys(new_key("second"))), vault(token=SECRET))
    with pytest.raises(ApplicationError, match="'first'"):
        await received(on_its_way, by=other)


@pytest.mark.parametrize(
    "error",
    [KeyMissing("key away"), Undecipherable("damaged"), CredentialRefused("no keys")],
    ids=lambda error: type(error).__name__,
)
async def test_credential_that_cannot_be_opened_fails_the_attempt_with_the_reason(
    error: Exception,
) -> None:
    async def find(owner: str, name: str) -> Secret | None:
        raise error

    on_its_way = sent(SECRET)
    with pytest.raises(ApplicationError, match=f"cannot be resolved. {error}") as caught:
        await received(on_its_way, by=References(KEYRING, find))
    assert "restore" in caught.value.details[0]["remedy"]


async def test_new_value_that_has_no_such_line_fails_the_attempt() -> None:
    on_its_way = sent(f"one line: {KEY.splitlines()[1]}")
    with pytest.raises(ApplicationError, match="'key' has a new value of another form"):
        await received(on_its_way, by=references(key="a value of one line"))


async def test_secret_that_a_reference_brings_into_a_process_is_redacted_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_its_way = sent(SECRET)
    monkeypatch.setattr(PROCESS, "known", KnownSecrets())
    assert redact(SECRET) == SECRET
    await received(on_its_way)
    assert redact(SECRET) == REDACTED
    assert PROCESS.known.name_of(SECRET) == SecretName("alice", "token")


async def test_secret_of_unknown_origin_flows_and_is_hidden_from_people() -> None:
    PROCESS.learn("from nowhere at all")
    value = "it is from nowhere at all"
    payload = CONVERTER.to_payload(value)
    assert references().put_into("p", payload) is payload
    assert redact(value) == f"it is {REDACTED}"


@pytest.mark.parametrize("keyring", [None, KEYRING], ids=["no key", "key"])
def test_parameters_are_stored_so_that_a_retry_has_them_and_nobody_reads_them(
    keyring: Keyring | None,
) -> None:
    parameters = {
        "plain": ["as it is", 1],
        "url": "postgresql://app:s3cr3t@db/shop",
        "known": {"a": f"x {SECRET}"},
        "says": f"literally {REDACTED}",
    }
    sealed = SealedParameters(keyring)
    stored = sealed.conceal("p", parameters)
    text = json.dumps(stored)
    assert "s3cr3t" not in text
    assert SECRET not in text
    assert REDACTED not in text
    assert stored["plain"] == ["as it is", 1]
    assert sealed.reveal("p", stored) == parameters
    shown = json.loads(hide_seals(text.encode()))
    assert shown == {
        "plain": ["as it is", 1],
        "url": REDACTED,
        "known": {"a": REDACTED},
        "says": REDACTED,
    }
    if keyring:
        with pytest.raises(Undecipherable):
            sealed.reveal("another", stored)


@pytest.mark.parametrize("text", [f"about {SECRET[:8]}", f"{SECRET[-8:]} it", SECRET[:8]])
def test_parameter_with_the_beginning_or_end_of_a_secret_is_stored_as_it_is(text: str) -> None:
    assert SealedParameters(KEYRING).conceal("p", {"a": [text]}) == {"a": [text]}
    assert redact(text) != text, "in a text that may be cut, it is a part of the secret"


@pytest.mark.parametrize("keyring", [None, KEYRING], ids=["no key", "key"])
@pytest.mark.parametrize(
    "text",
    [
        "[stepway-secret::aGVsbG8]",
        "x [stepway-secret::aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ] y",
        "[stepway-secret:first:aGVsbG8x]",
        "[stepway-secret::abcde]",
        "[stepway-secret:nokey:aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ]",
        "[stepway-secret:",
    ],
)
def test_parameter_like_a_seal_comes_back_as_it_was_given(
    keyring: Keyring | None, text: str
) -> None:
    sealed = SealedParameters(keyring)
    stored = sealed.conceal("p", {"a": [text], text: 1})
    assert hide_seals(json.dumps(stored).encode()) == b'{"a": ["[redacted]"], "[redacted]": 1}'
    assert sealed.reveal("p", stored) == {"a": [text], text: 1}


def test_what_is_stored_without_a_secret_is_not_touched() -> None:
    parameters = {"a": ["b", {"c": 1}]}
    assert SealedParameters(KEYRING).conceal("p", parameters) is parameters
    body = b'{"parameters": {"a": 1}}'
    assert hide_seals(body) is body
    assert not re.search(rb"stepway-secret", body)
