"""Encrypts the payloads that Temporal stores."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from stepway.vault.keyring import Encrypted, Keyring

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
_CONTEXT = b"temporal payload"


class EncryptionCodec(PayloadCodec):
    """Encrypts payloads. Also reads plain payloads, from before encryption was switched on."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each whole payload with the newest key."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt payloads. Raises KeyMissing, Undecipherable."""
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        sealed = self._keyring.encrypt(payload.SerializeToString(), _CONTEXT)
        metadata = {"encoding": ENCODING, KEY_ID: sealed.key_id.encode()}
        return Payload(metadata=metadata, data=sealed.data)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        sealed = Encrypted(payload.metadata[KEY_ID].decode(errors="replace"), payload.data)
        return Payload.FromString(self._keyring.decrypt(sealed, _CONTEXT))
