"""Signed payloads, for Temporal servers without authentication.

Anyone who can connect to such a server can start workflows. A worker that requires signatures
refuses the payloads of everyone who does not have the key.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from stepway.vault.errors import Unsigned

SIGNATURE = "stepway-signature"

NOT_STARTED = Payload(metadata={"encoding": b"json/plain"}, data=b'"ACTIVITY_ID_NOT_STARTED"')
"""Temporal's server itself writes this, when it cancels an activity between two attempts."""


class SigningCodec(PayloadCodec):
    """Signs payloads with HMAC-SHA256, after `inner` has encoded them."""

    def __init__(self, key: bytes, inner: PayloadCodec | None = None) -> None:
        self._key = key
        self._inner = inner

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Add a signature to the metadata of each payload; the data stay readable."""
        made = await self._inner.encode(payloads) if self._inner else payloads
        return [self._signed(payload) for payload in made]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Check and remove the signatures. Raises Unsigned if one is missing or invalid."""
        found = [self._verified(payload) for payload in payloads]
        return await self._inner.decode(found) if self._inner else found

    def _signed(self, payload: Payload) -> Payload:
        signed = _without_signature(payload)
        signed.metadata[SIGNATURE] = self._signature(payload)
        return signed

    def _verified(self, payload: Payload) -> Payload:
        if payload == NOT_STARTED:
            return payload
        given = payload.metadata.get(SIGNATURE, b"")
        if not hmac.compare_digest(given, self._signature(payload)):
            raise Unsigned(
                "Temporal holds data that were not sent with STEPWAY_TEMPORAL_SIGNING_KEY_FILE; "
                "they are refused."
            )
        return _without_signature(payload)

    def _signature(self, payload: Payload) -> bytes:
        parts = [payload.data]
        for name, value in sorted(payload.metadata.items()):
            if name != SIGNATURE:
                parts += [name.encode(), value]
        # Each part with its length, so that no two payloads have the same text.
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, text, "sha256").hex().encode()


def _without_signature(payload: Payload) -> Payload:
    copy = Payload()
    copy.CopyFrom(payload)
    copy.metadata.pop(SIGNATURE, None)
    return copy
