"""Parses encryption keys from settings: `ID:KEY`, the newest first."""

from __future__ import annotations

import binascii
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

KEY_BYTES = 32
SIGNING_KEY_LENGTH = 32
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def parse_keys(text: str) -> Mapping[str, bytes]:
    """Parse keys that commas or white space separate; return them by ID, in their order.

    Raises ValueError. Its text never contains a key.
    """
    keys: dict[str, bytes] = {}
    for place, part in enumerate(text.replace(",", " ").split(), start=1):
        key_id, separator, encoded = part.partition(":")
        if not separator or not _ID.fullmatch(key_id):
            raise ValueError(f"key {place} must be ID:KEY, as `stepway credential new-key` prints")
        if key_id in keys:
            raise ValueError(f"duplicate key ID {key_id!r}")
        keys[key_id] = _decoded(key_id, encoded)
    return keys


def parse_signing_key(text: str) -> bytes:
    """Return the signing key in a file's text. Raises ValueError if it is too short."""
    key = text.strip().encode()
    if len(key) < SIGNING_KEY_LENGTH:
        raise ValueError(f"the key must have at least {SIGNING_KEY_LENGTH} characters")
    return key


def new_key(key_id: str) -> str:
    """Make a random key, as `ID:KEY`. Raises ValueError if the ID is invalid."""
    if not _ID.fullmatch(key_id):
        raise ValueError(
            f"{key_id!r} is not a key ID: use up to 32 letters, digits, dots and hyphens"
        )
    key = urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode().rstrip("=")
    return f"{key_id}:{key}"


def _decoded(key_id: str, encoded: str) -> bytes:
    try:
        key = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"key {key_id!r} must be {KEY_BYTES} random bytes in base64")
    return key
