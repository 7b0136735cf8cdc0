"""Seals: encrypted texts that stand in for secrets and that people see as "[redacted]".

    [stepway-secret:KEY-ID:BASE64]

The newest key encrypts the text, which decrypts only in its context. Without keys the text is only
base64, as Temporal's payloads are not encrypted then either.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from stepway.vault.errors import KeyMissing, Undecipherable
from stepway.vault.keyring import Encrypted, Keyring
from stepway.vault.redaction import REDACTED, contains_secret
from stepway.vault.values import map_texts

SEAL = re.compile(r"\[stepway-secret:([\w.-]{0,32}):([\w-]{4,200000}+)\]", re.ASCII)
_BYTES = re.compile(SEAL.pattern.encode())
MARK = b"[stepway-secret:"
"""How every seal begins."""


class Seals:
    """Seals texts and opens seals."""

    def __init__(self, keyring: Keyring | None) -> None:
        self._keyring = keyring

    def seal(self, text: str, context: str) -> str:
        """Seal a text. The seal opens in this context only."""
        key_id, data = "", text.encode(errors="surrogatepass")
        if self._keyring:
            sealed = self._keyring.encrypt(data, context.encode())
            key_id, data = sealed.key_id, sealed.data
        return f"[stepway-secret:{key_id}:{urlsafe_b64encode(data).decode().rstrip('=')}]"

    def open(self, seal: re.Match[str], context: str) -> str:
        """Return the sealed text. Raises KeyMissing, Undecipherable."""
        key_id, encoded = seal.groups()
        try:
            data = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            if key_id:
                data = self._decrypted(Encrypted(key_id, data), context)
            return data.decode(errors="surrogatepass")
        except ValueError as error:
            raise Undecipherable("A sealed secret is damaged.") from error

    def _decrypted(self, sealed: Encrypted, context: str) -> bytes:
        if self._keyring is None:
            raise KeyMissing(
                f"The key {sealed.key_id!r} is needed, and STEPWAY_SECRET_KEYS is empty."
            )
        return self._keyring.decrypt(sealed, context.encode())


class SealedParameters:
    """Seals the secrets in stored parameters. A retry can use them; people cannot read them."""

    def __init__(self, keyring: Keyring | None) -> None:
        self._seals = Seals(keyring)

    def conceal(self, project_id: str, parameters: Any) -> Any:
        """Seal each text that contains a secret, or that could be taken for a seal."""
        context = _context(project_id)

        def concealed(text: str) -> str:
            return self._seals.seal(text, context) if _must_be_sealed(text) else text

        return map_texts(parameters, concealed)

    def reveal(self, project_id: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Open all seals. Raises KeyMissing, Undecipherable."""
        context = _context(project_id)
        shown = map_texts(
            dict(parameters),
            lambda text: SEAL.sub(lambda seal: self._seals.open(seal, context), text),
        )
        return dict(shown)


def hide_seals(body: bytes) -> bytes:
    """Replace the seals in JSON with "[redacted]"."""
    return _BYTES.sub(REDACTED.encode(), body) if MARK in body else body


def _must_be_sealed(text: str) -> bool:
    # An unsealed "[redacted]" means that an earlier version lost the text.
    return REDACTED in text or MARK.decode() in text or contains_secret(text)


def _context(project_id: str) -> str:
    return f"parameters\n{project_id}"
