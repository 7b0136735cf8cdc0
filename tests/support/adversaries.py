"""Texts that a careless pattern needs long for: beginnings of secrets that come to nothing."""

from __future__ import annotations

from stepway.vault.shapes import _TOKENS

_PREFIXES = [prefix for prefixes in _TOKENS for prefix in prefixes.split("|")]

_BEGINNINGS = [
    "eyJ-",
    "eyJ-glpat-",
    "eyJabcdeglpat-" + "a" * 20 + " eyJabcde-",
    "://a:glpat-",
    "eyJ" + "a" * 7_990 + ".",
    "eyJ" + "a" * 7_990 + ".eyJ.",
    "eyJabcde.eyJab",
    "5meyJ",
    "%3DeyJ",
    "://",
    "a://b:",
    "a://" + "b" * 199 + ":",
    "a://b:" + "c" * 3_990 + " ",
    "-",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN RSA RSA RSA ",
    "LS0tLS1CRUdJTiBSU0EgUFJJVkFURS",
    "Authorization: Bearer ",
    "authorization: token aaaaaaaa ",
    "Bearer ",
    "Bearer aaaaaaaaaaaaaaaaaaaa ",
    "basic aaaaaaaaaaaa ",
    "x-api-key:",
    "private-token: aaaaaaaa ",
    "SecretAccessKey: ",
    "AWS_SESSION_TOKEN=" + "a" * 39 + " ",
    "aaa1Q~",
    "a" * 14 + ".atlasv1.",
    "?sig=" + "a" * 39 + " ",
    "login a password ",
    '"auth": "',
    "hooks.slack.com/services/",
    "12345678:AA",
    "[stepway-secret:",
    "[stepway-secret:k:" + "a" * 5_000 + " ",
    "A",
    "b",
    ".",
    "日本",
]

PIECES = [*_BEGINNINGS, *_PREFIXES, *(prefix + "-" for prefix in _PREFIXES)]
"""To be repeated."""
