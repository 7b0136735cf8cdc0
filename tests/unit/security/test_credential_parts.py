"""The parts of a credential that matter are hidden, and travel as references."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from stepway.vault.forms import checked_form
from stepway.vault.keyring import Keyring
from stepway.vault.keys import new_key, parse_keys
from stepway.vault.kinds import IN_CLUSTER, Target
from stepway.vault.known import SecretName
from stepway.vault.parts import parts_of
from stepway.vault.redaction import PROCESS, REDACTED, KnownSecrets, learn, redact
from stepway.vault.references import References, learn_credential
from stepway.vault.vault import Secret
from tests.support.secrets_of_kinds import (
    KNOWN_HOSTS,
    app_key,
    certificate,
    ec_key,
    kubeconfig,
    oauth_answer,
    pem_of,
    ssh_key,
)

CONVERTER = DataConverter.default.payload_converter
NAME = SecretName("alice", "forge")
SERVER = "https://k8s.example.com:6443"
TOKEN = "the-token-of-a-service-account"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(PROCESS, "known", KnownSecrets())
    yield


def secret_of(kind: str | None, value: str, account: str = "bot", **target: Any) -> Secret:
    form = checked_form("forge", value, account, Target(kind, **target))
    return Secret(form.account, form.value, form.target)


def opened(kind: str | None, value: str, account: str = "bot", **target: Any) -> Secret:
    secret = secret_of(kind, value, account, **target)
    learn_credential(NAME, secret)
    return secret


def body(pem: str) -> str:
    return "".join(pem.splitlines()[1:-1])


def test_secrets_in_a_kubeconfig_are_hidden_and_its_public_lines_are_not() -> None:
    key = ec_key()
    pem = pem_of(key)
    config = kubeconfig(
        SERVER,
        certificate(key, "k8s.example.com"),
        token=TOKEN,
        password="the-password-of-a-person",
        **{"client-key-data": b64encode(pem.encode()).decode()},
    )
    opened("kubernetes", config)
    for text in (
        TOKEN,
        b64encode(TOKEN.encode()).decode(),
        "the-password-of-a-person",
        b64encode(pem.encode()).decode(),
        pem.splitlines()[1],
        body(pem),
        b64encode(config.encode()).decode(),
    ):
        assert text.rstrip("=") not in redact(f"cannot use {text}: refused")
    for text in (
        f"cannot reach {SERVER}: refused",
        f"server: {SERVER}",
        "unknown context production-context",
        "current-context: production-context",
        "the field is apiVersion",
        "user: deployer-of-production",
    ):
        assert redact(text) == text
    assert redact(config) == REDACTED
    printed = redact(json.dumps(yaml.safe_load(config)))
    assert SERVER in printed
    assert TOKEN not in printed


def test_body_of_a_key_is_hidden_in_one_line_too() -> None:
    opened("github-app", app_key(), options={"app_id": "1"})
    ssh = ssh_key()
    opened("ssh", ssh, url="git@git.example.com", ca=KNOWN_HOSTS)
    for key in (app_key(), ssh):
        for text in (key, key.splitlines()[2], body(key), json.dumps(key)):
            assert text not in redact(f"with {text} it fails")
            assert REDACTED in redact(f"with {text} it fails")


def test_password_is_hidden_as_programs_send_it() -> None:
    opened("basic", "correct horse battery")
    pair = b64encode(b"bot:correct horse battery").decode()
    assert pair.rstrip("=") not in redact(f"sent {pair}")
    assert redact("sent correct horse battery") == f"sent {REDACTED}"


def test_tokens_of_an_oauth_answer_are_hidden() -> None:
    opened("gitlab", oauth_answer())
    for text in (
        "first-access-token-of-an-account",
        "first-refresh-token-of-an-account",
        "the-secret-of-the-application",
    ):
        assert redact(f"sent {text}") == f"sent {REDACTED}"
    assert redact("client_id the-application") == "client_id the-application"


def test_service_account_of_the_pod_is_no_secret() -> None:
    opened("kubernetes", IN_CLUSTER)
    assert redact("the credential is in-cluster") == "the credential is in-cluster"


def test_credential_without_a_kind_is_one_part() -> None:
    [part] = parts_of(None, "bot", "any\ntext at all")
    assert (part.name, part.text, part.document) == ("", "any\ntext at all", False)


def references(secret: Secret | None) -> References:
    async def find(owner: str, name: str) -> Secret | None:
        assert (owner, name) == ("alice", "forge")
        return secret

    return References(Keyring(parse_keys(KEYS)), find)


KEYS = new_key("first")


def sent(secret: Secret, value: Any) -> Any:
    payload = references(secret).put_into("p", CONVERTER.to_payload(value))
    return CONVERTER.from_payload(payload)


async def received(secret: Secret, value: Any) -> Any:
    payload = await references(secret).resolve("p", CONVERTER.to_payload(value))
    return CONVERTER.from_payload(payload)


async def test_part_of_a_kubeconfig_arrives_as_it_was_sent() -> None:
    pem = pem_of(ec_key())
    given = b64encode(pem.encode()).decode()
    secret = opened("kubernetes", kubeconfig(SERVER, token=TOKEN, **{"client-key-data": given}))
    for text in (
        f"token {TOKEN}",
        f"https://x/?token={TOKEN}",
        b64encode(TOKEN.encode()).decode(),
        given,
        pem,
        body(pem),
        secret.value,
        b64encode(secret.value.encode()).decode(),
    ):
        on_its_way = sent(secret, {"a": [text]})
        assert "[stepway-secret:first:" in json.dumps(on_its_way)
        for part in (TOKEN, given, body(pem)):
            assert part not in json.dumps(on_its_way)
        assert await received(secret, on_its_way) == {"a": [text]}


async def test_part_that_a_new_value_no_longer_has_is_said() -> None:
    secret = opened("kubernetes", kubeconfig(SERVER, token=TOKEN))
    on_its_way = sent(secret, TOKEN)
    newer = secret_of("kubernetes", kubeconfig(SERVER, password="another-secret"))
    with pytest.raises(ApplicationError, match="new value of another form"):
        await received(newer, on_its_way)


def test_token_that_was_made_with_a_credential_is_hidden_and_not_passed_on() -> None:
    secret = opened("github-app", app_key(), options={"app_id": "1"})
    made = "a-token-of-an-installation"
    learn(made, SecretName("alice", "forge", made=True))
    assert redact(f"pushed with {made}") == f"pushed with {REDACTED}"
    assert sent(secret, {"url": f"https://x:{made}@host"}) == {"url": f"https://x:{REDACTED}@host"}


def test_oauth_token_that_is_refreshed_is_not_passed_on() -> None:
    secret = opened("gitlab", oauth_answer())
    for token in ("first-access-token-of-an-account", "first-refresh-token-of-an-account"):
        assert sent(secret, {"token": token}) == {"token": REDACTED}
