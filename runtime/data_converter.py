"""Temporal's data converter, with encryption, signatures and final errors for invalid arguments."""

from __future__ import annotations

from temporalio.converter import (
    DataConverter,
    DefaultPayloadConverter,
    PayloadCodec,
    PayloadConverter,
)

from stepway.vault.keyring import Keyring
from stepway.vault.payload_codec import EncryptionCodec
from stepway.vault.payload_signing import SigningCodec
from stepway_tracking.worker.failure_converter import (
    EncodedFinalArgumentErrors,
    FinalArgumentErrors,
)


def data_converter(
    keyring: Keyring | None,
    signing_key: bytes | None = None,
    payloads: type[PayloadConverter] = DefaultPayloadConverter,
) -> DataConverter:
    """Return the converter. It encrypts if there is a keyring, and signs if there is a key.

    `payloads` converts between values and JSON.
    """
    codec: PayloadCodec | None = EncryptionCodec(keyring) if keyring else None
    if signing_key:
        codec = SigningCodec(signing_key, codec)
    failures = EncodedFinalArgumentErrors if keyring else FinalArgumentErrors
    return DataConverter(
        payload_converter_class=payloads, payload_codec=codec, failure_converter_class=failures
    )
