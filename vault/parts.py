"""The texts in a credential that must be hidden: a token in a kubeconfig, the body of a key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from stepway.vault.kinds import IN_CLUSTER, CredentialKind
from stepway.vault.known import SHORTEST
from stepway.vault.kubeconfig import secrets_of

_REFRESHED = ("access_token", "refresh_token")
_OAUTH_SECRETS = (*_REFRESHED, "client_secret")


@dataclass(frozen=True)
class Part:
    """A text to hide; `name` says where it is in the secret, and is empty for the whole.

    A `document` has public lines, so it is hidden as a whole only. A `made` part is replaced by a
    new one before long, so it is not passed on to other steps.
    """

    name: str
    text: str
    document: bool = False
    made: bool = False


def parts_of(kind: str | None, account: str, value: str) -> list[Part]:
    """Return what to hide of a credential's value, the whole first."""
    if kind == CredentialKind.KUBERNETES and value == IN_CLUSTER:
        return []
    inner = [
        Part(name, text, made=name in _REFRESHED)
        for name, text in _inner(kind, account, value)
        if len(text) >= SHORTEST
    ]
    is_document = kind == CredentialKind.KUBERNETES or bool(inner and value.startswith("{"))
    return [Part("", value, is_document), *inner]


def part_named(name: str, kind: str | None, account: str, value: str) -> str | None:
    """Return the text of a part; None if the value has no such part."""
    if not name:
        return value
    return next((each.text for each in parts_of(kind, account, value) if each.name == name), None)


def _inner(kind: str | None, account: str, value: str) -> Iterator[tuple[str, str]]:
    if kind == CredentialKind.KUBERNETES:
        for name, text in secrets_of(value):
            yield name, text
            yield from _body(f"{name}.body", text)
    elif kind == CredentialKind.BASIC:
        yield "basic", f"{account}:{value}"
    elif kind == CredentialKind.GITLAB and value.startswith("{"):
        yield from _oauth(value)
    elif kind is not None:
        yield from _body("body", value)


def _oauth(value: str) -> Iterator[tuple[str, str]]:
    try:
        fields = json.loads(value)
    except ValueError:
        return
    for name in _OAUTH_SECRETS:
        if isinstance(fields.get(name), str):
            yield name, fields[name]


def _body(name: str, text: str) -> Iterator[tuple[str, str]]:
    """The base64 of a key in PEM form, as one line."""
    lines = text.strip().splitlines()
    if len(lines) > 2 and lines[0].startswith("-----BEGIN"):
        yield name, "".join(line.strip() for line in lines[1:-1])
