"""Reads kubeconfigs: checks that one works on any machine, and finds the secrets in it."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from stepway.vault.errors import CredentialRefused

_FLATTEN = "make one with `kubectl config view --raw --flatten --minify`"
_TOKEN = "use the token of a service account (`kubectl create token`)"
_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
_SECRETS = ("token", "password", "client-key-data")


def server_of(text: str) -> str:
    """Return the address of the current context's cluster.

    Raises CredentialRefused for what is no kubeconfig, and for one that needs files or programs of
    the machine that it was made on.
    """
    config = _loaded(text)
    name = config.get("current-context")
    context = _entry(config, "context", name)
    cluster = _entry(config, "cluster", context.get("cluster"))
    user = _entry(config, "user", context.get("user"))
    for kind, entry in (("cluster", cluster), ("user", user)):
        for field in _FILES[kind]:
            if entry.get(field):
                raise CredentialRefused(
                    f"The kubeconfig refers to a file by {field!r}, which workers do not have: "
                    f"{_FLATTEN}"
                )
    for field in ("exec", "auth-provider"):
        if user.get(field):
            raise CredentialRefused(
                f"The kubeconfig runs a program by {field!r}, which workers do not have: {_TOKEN}"
            )
    if cluster.get("insecure-skip-tls-verify"):
        raise CredentialRefused(
            "The kubeconfig has 'insecure-skip-tls-verify', so anyone in between could read the "
            "token: give the cluster's authority as 'certificate-authority-data'"
        )
    if not any(user.get(field) for field in _SECRETS):
        raise CredentialRefused(
            f"The user of the kubeconfig's current context has no token or key: {_TOKEN}"
        )
    server = cluster.get("server")
    if not isinstance(server, str):
        raise CredentialRefused("The kubeconfig's current cluster has no 'server'")
    return server


def secrets_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield the place and text of each secret in a kubeconfig; nothing for other texts."""
    try:
        config = _loaded(text)
    except CredentialRefused:
        return
    for number, entry in enumerate(_list(config, "users")):
        user = entry.get("user")
        for field in _SECRETS:
            value = user.get(field) if isinstance(user, Mapping) else None
            if isinstance(value, str):
                yield f"users.{number}.{field}", value
                if field == "client-key-data" and (key := _decoded(value)):
                    yield f"users.{number}.client-key", key


def _loaded(text: str) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        # The error's text has parts of the secret.
        raise CredentialRefused(
            f"The secret is not a kubeconfig, but broken YAML: {_FLATTEN}"
        ) from (None)
    if not isinstance(config, Mapping) or not _list(config, "users"):
        raise CredentialRefused(f"The secret is not a kubeconfig: {_FLATTEN}")
    return config


def _list(config: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    entries = config.get(field)
    return (
        [each for each in entries if isinstance(each, Mapping)] if isinstance(entries, list) else []
    )


def _entry(config: Mapping[str, Any], kind: str, name: Any) -> Mapping[str, Any]:
    for each in _list(config, f"{kind}s"):
        if name and each.get("name") == name and isinstance(each.get(kind), Mapping):
            found: Mapping[str, Any] = each[kind]
            return found
    raise CredentialRefused(f"The kubeconfig's current context has no {kind}: {_FLATTEN}")


def _decoded(value: str) -> str | None:
    try:
        return b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
