"""Secrets of every kind of credentials, made for tests."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

KNOWN_HOSTS = (
    "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHHIDz5v1PpEIcoMZB5Xp8Ax5lDXnZBC\n"
)

LOCKED_SSH_KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABB+3CJUQh
+9tRXG0LF/UfuCAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIKbyupTRDD4QFn9P
qJvYgXTiI+UyS6S7RZjlNBDn6uBJAAAAkEeGkKAr7ub8ijvjywfuD+pT75IQAVnw6SI3Ih
oF8jsIeloabPiPFwXRgw4cwC4D+gaXLifGwxUz9GdBsqfKOj8w8wyQiYpfU2TKJtW7Vwk9
BQNszBFNPlhSP5sKIiMiW2JvryG7ifRmNbYjcHnFqMckjbNt2RLTpCbqwTkk/Yvg5graz/
UC1+fWfHj29nopFQ==
-----END OPENSSH PRIVATE KEY-----
"""
"""A key that ssh-keygen made with a passphrase, for this test only."""


@cache
def app_key() -> str:
    """The private key of a GitHub App, as GitHub gives it."""
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ).decode()


def ssh_key() -> str:
    """A private key, as ssh-keygen makes it."""
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def ec_key() -> ec.EllipticCurvePrivateKey:
    """A key for certificates."""
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    """The key in PEM form."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate(key: ec.EllipticCurvePrivateKey, *names: str) -> str:
    """A certificate for these addresses, signed with its own key."""
    return _signed(key, names).public_bytes(Encoding.PEM).decode()


def kubeconfig(server: str, ca: str = "", **user: Any) -> str:
    """A kubeconfig with one context; `user` are the fields of its user."""
    cluster = {"server": server}
    if ca:
        cluster["certificate-authority-data"] = b64encode(ca.encode()).decode()
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "production-context",
            "contexts": [
                {
                    "name": "production-context",
                    "context": {"cluster": "production-cluster", "user": "deployer-of-production"},
                }
            ],
            "clusters": [{"name": "production-cluster", "cluster": cluster}],
            "users": [{"name": "deployer-of-production", "user": user}],
        }
    )


def oauth_answer(**more: Any) -> str:
    """An answer of GitLab's /oauth/token, with the application's ID and secret."""
    answer = {
        "access_token": "first-access-token-of-an-account",
        "refresh_token": "first-refresh-token-of-an-account",
        "token_type": "Bearer",
        "expires_in": 7200,
        "created_at": int(datetime.now(UTC).timestamp()),
        "client_id": "the-application",
        "client_secret": "the-secret-of-the-application",
    }
    return json.dumps(answer | more)


def _signed(key: ec.EllipticCurvePrivateKey, names: tuple[str, ...]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
                    for name in names
                ]
            ),
            critical=False,
        )
    )
    return builder.sign(key, hashes.SHA256())
