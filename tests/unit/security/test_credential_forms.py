"""A credential of a kind is checked and completed when it is stored."""

from __future__ import annotations

import json
import time

import pytest

from stepway.vault.addresses import ssh_address, web_address
from stepway.vault.errors import CredentialRefused
from stepway.vault.forms import Form, checked_form
from stepway.vault.kinds import IN_CLUSTER, CredentialKind, Target
from tests.support.secrets_of_kinds import (
    KNOWN_HOSTS,
    LOCKED_SSH_KEY,
    app_key,
    certificate,
    ec_key,
    kubeconfig,
    oauth_answer,
    pem_of,
    ssh_key,
)

TOKEN = "a-token-of-32-letters-or-so-1234"
SSH = "ssh://git@git.example.com"


def form(kind: str | None, value: str, account: str = "", **target: object) -> Form:
    return checked_form("forge", value, account, Target(kind, **target))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://git.example.com", "https://git.example.com"),
        (" HTTPS://Git.Example.COM./ ", "https://git.example.com"),
        ("https://git.example.com:443", "https://git.example.com"),
        ("https://git.example.com:8443/", "https://git.example.com:8443"),
        ("https://git.example.com/gitlab/", "https://git.example.com/gitlab"),
        ("https://ghe.example.com/api/v3", "https://ghe.example.com"),
        ("https://git.example.com/gitlab/api/v4/", "https://git.example.com/gitlab"),
        ("https://api.github.com", "https://github.com"),
        ("https://www.github.com/", "https://github.com"),
        ("https://gît.example.com", "https://xn--gt-qja.example.com"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://localhost:80/", "http://localhost"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_address_has_one_form(given: str, expected: str) -> None:
    assert web_address(given) == expected
    assert web_address(expected) == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("http://git.example.com", "over http, anyone in between"),
        ("http://127.0.0.1.example.com", "over http, anyone in between"),
        ("http://10.0.0.1", "over http, anyone in between"),
        ("git.example.com", "with scheme and host"),
        ("ftp://git.example.com", "must begin with https"),
        ("https://", "with scheme and host"),
        ("https://git.example.com:port", "malformed"),
        ("https://[::1", "malformed"),
        ("https://git_example com", "no valid host name"),
        ("https://git.example.com?x=1", "as people open it"),
        ("https://git.example.com#x", "as people open it"),
        ("https://git.example.com/a b", "as people open it"),
    ],
)
def test_address_that_is_no_hosts_is_refused(given: str, reason: str) -> None:
    with pytest.raises(CredentialRefused, match=reason):
        web_address(given)


def test_secret_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(CredentialRefused, match="must not contain a user name") as caught:
        web_address(f"https://bot:{TOKEN}@git.example.com")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("given", [SSH, f"{SSH}:22", f"{SSH}/", "git@git.example.com"])
def test_ssh_address_has_one_form(given: str) -> None:
    assert ssh_address(given) == SSH


@pytest.mark.parametrize(
    "given", ["https://git.example.com", "ssh://git.example.com", f"{SSH}/acme/shop.git"]
)
def test_address_that_is_not_one_of_an_ssh_host_is_refused(given: str) -> None:
    with pytest.raises(CredentialRefused, match="ssh://USER@HOST"):
        ssh_address(given)


def test_credential_without_a_kind_is_as_before() -> None:
    assert form(None, "any\ntext ") == Form("any\ntext ", "forge", Target())
    assert form(None, "any text", "bot").account == "bot"
    with pytest.raises(CredentialRefused, match="needs --kind"):
        form(None, TOKEN, url="https://git.example.com")


@pytest.mark.parametrize(
    ("kind", "url"), [("github", "https://github.com"), ("gitlab", "https://gitlab.com")]
)
def test_token_gets_the_public_host_and_loses_the_space_around_it(kind: str, url: str) -> None:
    assert form(kind, f" {TOKEN}\r\n") == Form(TOKEN, "", Target(kind, url))
    own = form(kind, TOKEN, "acme", url="https://git.example.com/")
    assert own == Form(TOKEN, "acme", Target(kind, "https://git.example.com"))


def test_gitea_has_no_public_host() -> None:
    with pytest.raises(CredentialRefused, match="need the host's address"):
        form("gitea", TOKEN)
    assert form("gitea", TOKEN, url="https://codeberg.org").target.url == "https://codeberg.org"


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("github", "glpat-abcdefghijklmnopqrst", "looks like a token of --kind gitlab"),
        ("gitlab", "ghp_" + "a1B2" * 9, "looks like a token of --kind github"),
        ("gitea", "github_pat_" + "a1B2" * 9, "looks like a token of --kind github"),
        ("github", "two words-and-more", "one line of letters"),
        ("github", "line-one\nline-two", "one line of letters"),
        ("gitlab", "tökenwithumlaut", "one line of letters"),
        ("github", "-----BEGIN RSA PRIVATE KEY-----\nx", "--kind github-app"),
        ("gitlab", '{"access_token": "x"}', "refresh_token, client_id is missing"),
        ("gitlab", '{"access_token":', "not valid JSON"),
        ("github-app", TOKEN, "whole .pem file"),
        ("kubernetes", TOKEN, "not a kubeconfig"),
        ("kubernetes", "a: [unfinished", "broken YAML"),
        ("kubernetes", "users: {}", "not a kubeconfig"),
        ("ssh", TOKEN, "not the one that ends in .pub"),
        ("ssh", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me", "not the one that ends in .pub"),
        ("basic", "line-one\nline-two", "one line"),
    ],
)
def test_secret_of_another_form_is_refused_with_what_to_do_and_not_repeated(
    kind: str, value: str, reason: str
) -> None:
    targets = {
        "gitea": {"url": "https://git.example.com"},
        "ssh": {"url": SSH, "ca": KNOWN_HOSTS},
        "github-app": {"options": {"app_id": "123"}},
    }
    with pytest.raises(CredentialRefused, match=reason) as caught:
        form(kind, value, "bot", **targets.get(kind, {}))
    assert value not in str(caught.value)


def test_key_of_an_app_is_kept_whole_with_the_apps_id() -> None:
    kept = form("github-app", app_key().replace("\n", "\r\n"), "acme", options={"app_id": "123456"})
    assert kept.value == app_key()
    assert kept.target == Target("github-app", "https://github.com", None, {"app_id": "123456"})


def test_app_needs_its_id_its_account_and_an_rsa_key() -> None:
    for options in ({}, {"app_id": "my app"}):
        with pytest.raises(CredentialRefused, match="--app-id"):
            form("github-app", app_key(), "acme", options=options)
    with pytest.raises(CredentialRefused, match="--account"):
        form("github-app", app_key(), options={"app_id": "Iv23liAbCdEfGhIjKlMn"})
    with pytest.raises(CredentialRefused, match=r"whole \.pem file"):
        form("github-app", pem_of(ec_key()), "acme", options={"app_id": "1"})
    with pytest.raises(CredentialRefused, match="belongs to --kind github-app"):
        form("github", TOKEN, options={"app_id": "1"})


def test_oauth_answer_is_kept_with_the_time_of_its_expiry() -> None:
    kept = json.loads(form("gitlab", oauth_answer()).value)
    assert kept.keys() == {
        "access_token", "refresh_token", "client_id", "client_secret", "expires_at"
    }  # fmt: skip
    assert kept["expires_at"] == pytest.approx(time.time() + 7200, abs=60)
    unknown = json.loads(form("gitlab", oauth_answer(created_at=None)).value)
    assert unknown["expires_at"] == 0
    with pytest.raises(CredentialRefused, match="client_secret"):
        form("gitlab", oauth_answer(client_secret=5))


def test_kubeconfig_says_itself_where_it_signs_in() -> None:
    config = kubeconfig("https://k8s.example.com:6443", token=TOKEN)
    kept = form("kubernetes", config)
    assert (kept.value, kept.target.url) == (config, "https://k8s.example.com:6443")
    with pytest.raises(CredentialRefused, match="both are in the kubeconfig"):
        form("kubernetes", config, url="https://k8s.example.com")
    inside = form("kubernetes", IN_CLUSTER)
    assert inside.target.url == "https://kubernetes.default.svc"


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ({"client-certificate": "/home/me/cert", "client-key": "/home/me/key"}, "a file by"),
        ({"tokenFile": "/var/run/token"}, "a file by 'tokenFile'"),
        ({"exec": {"command": "aws"}}, "a program by 'exec'"),
        ({"auth-provider": {"name": "gcp"}}, "a program by 'auth-provider'"),
        ({}, "no token or key"),
    ],
)
def test_kubeconfig_that_works_on_one_machine_only_is_refused(
    user: dict[str, object], reason: str
) -> None:
    with pytest.raises(CredentialRefused, match=reason):
        form("kubernetes", kubeconfig("https://k8s.example.com", **user))


def test_ssh_key_is_kept_with_its_host_and_the_hosts_keys() -> None:
    key = ssh_key()
    kept = form("ssh", key.strip(), url="git@git.example.com", ca=KNOWN_HOSTS)
    assert kept == Form(key, "git", Target("ssh", SSH, KNOWN_HOSTS))
    assert form("ssh", pem_of(ec_key()), url=SSH, ca=KNOWN_HOSTS).value.startswith("-----BEGIN ")


@pytest.mark.parametrize(
    ("key", "target", "reason"),
    [
        (ssh_key(), {"ca": KNOWN_HOSTS}, "--url ssh://git@HOST"),
        (ssh_key(), {"url": SSH}, "ssh-keyscan HOST"),
        (ssh_key(), {"url": SSH, "ca": "# only a comment"}, "ssh-keyscan HOST"),
        (LOCKED_SSH_KEY, {"url": SSH, "ca": KNOWN_HOSTS}, "has a passphrase"),
    ],
)
def test_ssh_key_that_no_worker_could_use_is_refused(
    key: str, target: dict[str, str], reason: str
) -> None:
    with pytest.raises(CredentialRefused, match=reason):
        form("ssh", key, **target)


def test_password_needs_its_user() -> None:
    kept = form("basic", "correct horse", "bot", url="https://registry.example.com/")
    assert kept == Form("correct horse", "bot", Target("basic", "https://registry.example.com"))
    assert form("basic", "correct horse", "bot").target.url == ""
    with pytest.raises(CredentialRefused, match="--account USER"):
        form("basic", "correct horse")
    with pytest.raises(CredentialRefused, match="a colon"):
        form("basic", "correct horse", "bot:admin")


def test_authority_is_a_certificate_and_never_a_key() -> None:
    key = ec_key()
    authority = certificate(key, "git.example.com")
    assert form("github", TOKEN, url="https://git.example.com", ca=authority).target.ca == authority
    for text, reason in (
        ("not a certificate", "BEGIN CERTIFICATE"),
        (authority + pem_of(key), "contains a private key"),
    ):
        with pytest.raises(CredentialRefused, match=reason):
            form("github", TOKEN, url="https://git.example.com", ca=text)
    with pytest.raises(CredentialRefused, match="--url URL"):
        form("basic", "correct horse", "bot", ca=authority)


def test_unknown_kind_is_refused_with_the_kinds_there_are() -> None:
    with pytest.raises(CredentialRefused, match=", ".join(CredentialKind)):
        form("bitbucket", TOKEN)
