"""Checks the form of a credential when it is stored, and completes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_ssh_private_key,
)

from stepway.vault.addresses import ssh_address, web_address
from stepway.vault.errors import CredentialRefused
from stepway.vault.kinds import GIT_HOSTS, IN_CLUSTER, CredentialKind, Target
from stepway.vault.kubeconfig import server_of

OAUTH_FIELDS = ("access_token", "refresh_token", "client_id")
"""The fields that an OAuth token needs to be refreshed; the others may be missing."""

_DEFAULT_URLS = {
    CredentialKind.GITHUB: "https://github.com",
    CredentialKind.GITHUB_APP: "https://github.com",
    CredentialKind.GITLAB: "https://gitlab.com",
}
_PREFIXES = {
    CredentialKind.GITHUB: ("ghp_", "github_pat_", "gho_", "ghu_", "ghs_"),
    CredentialKind.GITLAB: ("glpat-", "gloas-", "gldt-"),
}
_APP_ID = re.compile(r"[1-9][0-9]{0,18}|Iv[0-9A-Za-z.]{8,40}")


@dataclass(frozen=True)
class Form:
    """A credential as it is stored: complete and checked."""

    value: str
    account: str
    target: Target


def checked_form(name: str, value: str, account: str, target: Target) -> Form:
    """Return the credential with its defaults, its secret and its addresses in one form.

    Raises CredentialRefused, which says what is wrong and what to do.
    """
    if target.kind is None:
        if target != Target():
            raise CredentialRefused("A URL, an authority or an App's ID needs --kind")
        return Form(value, account or name, target)
    try:
        kind = CredentialKind(target.kind)
    except ValueError:
        kinds = ", ".join(CredentialKind)
        raise CredentialRefused(f"{target.kind!r} is no kind of credentials: use {kinds}") from None
    if "app_id" in target.options and kind is not CredentialKind.GITHUB_APP:
        raise CredentialRefused("--app-id belongs to --kind github-app")
    if known_hosts := target.options.get("known_hosts"):
        if kind not in GIT_HOSTS:
            raise CredentialRefused("--known-hosts belongs to --kind ssh, or that of a Git host")
        target = replace(
            target, options={**target.options, "known_hosts": _known_hosts(known_hosts)}
        )
    value, target = _FORMS[kind](value, target)
    if kind is CredentialKind.GITHUB_APP and not account:
        raise CredentialRefused(
            "A GitHub App needs --account: the organization or person that has installed it"
        )
    if kind is CredentialKind.BASIC and not account:
        raise CredentialRefused("A password needs its user name: --account USER")
    if ":" in account and kind is CredentialKind.BASIC:
        raise CredentialRefused("A user name for basic authentication cannot contain a colon")
    if kind is CredentialKind.SSH:
        account = account or target.url.removeprefix("ssh://").partition("@")[0]
    return Form(value, account, target)


def _token(kind: CredentialKind) -> Callable[[str, Target], tuple[str, Target]]:
    def form(value: str, target: Target) -> tuple[str, Target]:
        value = value.strip()
        if value.startswith("{") and kind is CredentialKind.GITLAB:
            return _oauth(value), _on_the_web(kind, target)
        if value.startswith("-----BEGIN"):
            raise CredentialRefused(
                f"The secret is a key or certificate, but --kind {kind} needs a token; the key of "
                "a GitHub App needs --kind github-app, an SSH key --kind ssh"
            )
        for other, prefixes in _PREFIXES.items():
            if other is not kind and value.startswith(prefixes):
                raise CredentialRefused(
                    f"The secret looks like a token of --kind {other}, not of --kind {kind}"
                )
        if not value.isascii() or not value.isprintable() or " " in value:
            raise CredentialRefused(
                f"The secret of --kind {kind} must be a token: one line of letters, digits and "
                "signs, without spaces"
            )
        return value, _on_the_web(kind, target)

    return form


def _oauth(value: str) -> str:
    """The OAuth token as JSON with `expires_at`, in seconds since the epoch; 0 if not known."""
    try:
        given = json.loads(value)
    except ValueError:
        raise CredentialRefused("The secret begins like JSON, but is not valid JSON") from None
    missing = [name for name in OAUTH_FIELDS if not _is_text(given.get(name))]
    if missing or not isinstance(given.get("client_secret", ""), str):
        raise CredentialRefused(
            "An OAuth token must be a JSON object as GitLab's /oauth/token answers it, with the "
            "application's client_id and, if it is confidential, client_secret; "
            f"{', '.join(missing) or 'client_secret'} is missing or not a text"
        )
    kept = {name: given[name] for name in (*OAUTH_FIELDS, "client_secret") if given.get(name)}
    return json.dumps(kept | {"expires_at": _expiry(given)})


def _expiry(given: dict[str, object]) -> float:
    created, lasts, at = (given.get(name) for name in ("created_at", "expires_in", "expires_at"))
    if isinstance(created, int | float) and isinstance(lasts, int | float):
        return float(created + lasts)
    return float(at) if isinstance(at, int | float) else 0.0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _app(value: str, target: Target) -> tuple[str, Target]:
    value = _lines(value)
    if not _APP_ID.fullmatch(target.options.get("app_id", "")):
        raise CredentialRefused(
            "A GitHub App needs --app-id: the number or client ID on the App's settings page"
        )
    try:
        key = load_pem_private_key(value.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise CredentialRefused(
            "The secret of --kind github-app must be the App's private key: the whole .pem file "
            "that GitHub offers when a key is generated"
        )
    return value, _on_the_web(CredentialKind.GITHUB_APP, target)


def _kubernetes(value: str, target: Target) -> tuple[str, Target]:
    if target.url or target.ca:
        raise CredentialRefused(
            "--url and --ca do not belong to --kind kubernetes: both are in the kubeconfig"
        )
    if value == IN_CLUSTER:
        return value, replace(target, url="https://kubernetes.default.svc")
    return value, replace(target, url=web_address(server_of(value)))


def _ssh(value: str, target: Target) -> tuple[str, Target]:
    value = _lines(value)
    if not target.url:
        raise CredentialRefused("An SSH key needs the host it signs in to: --url ssh://git@HOST")
    load = load_ssh_private_key if "OPENSSH" in value.partition("\n")[0] else load_pem_private_key
    try:
        load(value.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if "password" in str(error).lower() or "encrypted" in str(error).lower():
            raise CredentialRefused(
                "The SSH key has a passphrase, which nobody could enter on a worker: make a "
                "separate key for Stepway, with `ssh-keygen -t ed25519 -N ''`"
            ) from None
        raise CredentialRefused(
            "The secret of --kind ssh must be a private key: the whole file that `ssh-keygen` made,"
            " not the one that ends in .pub"
        ) from None
    return value, replace(target, url=ssh_address(target.url), ca=_known_hosts(target.ca))


def _basic(value: str, target: Target) -> tuple[str, Target]:
    if "\n" in value or "\r" in value:
        raise CredentialRefused("A password must be one line")
    return value, _on_the_web(CredentialKind.BASIC, target)


def _on_the_web(kind: CredentialKind, target: Target) -> Target:
    url = target.url or _DEFAULT_URLS.get(kind, "")
    if not url:
        if kind is CredentialKind.GITEA:
            raise CredentialRefused("Gitea and Forgejo need the host's address: --url URL")
        if target.ca:
            raise CredentialRefused("An authority needs the address it is for: --url URL")
        return target
    ca = _certificates(target.ca) if target.ca else None
    return replace(target, url=web_address(url), ca=ca)


def _certificates(text: str) -> str:
    text = _lines(text)
    if "PRIVATE KEY" in text:
        raise CredentialRefused(
            "The file of --ca contains a private key: give the authority's certificate only"
        )
    try:
        x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise CredentialRefused(
            "The file of --ca must be a certificate in PEM form, which begins with "
            "-----BEGIN CERTIFICATE-----"
        ) from None
    return text


def _known_hosts(text: str | None) -> str:
    text = _lines(text or "")
    entries = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not entries or any(len(line.split()) < 3 for line in entries):
        raise CredentialRefused(
            "The host's public keys are needed, by which its SSH server is known: "
            "--known-hosts FILE, a file with the output of `ssh-keyscan HOST`"
        )
    return text


def _lines(text: str) -> str:
    """The text with Unix line ends and one at its end, without spaces around it."""
    return "\n".join(text.strip().splitlines()) + "\n"


_FORMS: dict[CredentialKind, Callable[[str, Target], tuple[str, Target]]] = {
    CredentialKind.GITHUB: _token(CredentialKind.GITHUB),
    CredentialKind.GITHUB_APP: _app,
    CredentialKind.GITLAB: _token(CredentialKind.GITLAB),
    CredentialKind.GITEA: _token(CredentialKind.GITEA),
    CredentialKind.KUBERNETES: _kubernetes,
    CredentialKind.SSH: _ssh,
    CredentialKind.BASIC: _basic,
}
