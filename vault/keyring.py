"""Encryption with named keys: the first key encrypts, all keys decrypt."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stepway.vault.errors import KeyMissing, Undecipherable

_NONCE_BYTES = 12


@dataclass(frozen=True)
class Encrypted:
    """A nonce followed by the AES-256-GCM ciphertext, and the ID of its key."""

    key_id: str
    data: bytes


class Keyring:
    """One or more keys by ID. A ciphertext decrypts only with the `context` of its encryption."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = next(iter(keys))

    def encrypt(self, data: bytes, context: bytes) -> Encrypted:
        """Encrypt data with the newest key."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self.current].encrypt(nonce, data, context)
        return Encrypted(self.current, nonce + sealed)

    def decrypt(self, sealed: Encrypted, context: bytes) -> bytes:
        """Decrypt data. Raises KeyMissing, which names the key, or Undecipherable."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise KeyMissing(
                f"The encryption key {sealed.key_id!r} is not in STEPWAY_SECRET_KEYS; "
                "add it again, after the newest key."
            )
        nonce, data = sealed.data[:_NONCE_BYTES], sealed.data[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, data, context)
        except (InvalidTag, ValueError) as error:
            raise Undecipherable(
                f"The data encrypted with the key {sealed.key_id!r} is damaged or was moved."
            ) from error


def open_keyring(keys: Mapping[str, bytes]) -> Keyring | None:
    """Return a keyring, or None if there are no keys."""
    return Keyring(keys) if keys else None
