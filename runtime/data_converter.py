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
from stepway.vault.unresolved import UnresolvedCodec
from stepway_tracking.worker.failure_converter import (
    EncodedFinalArgumentErrors,
    FinalArgumentErrors,
)


def data_converter(
    keyring: Keyring | None,
    signing_key: bytes | None = None,
    payloads: type[PayloadConverter] | None = None,
) -> DataConverter:
    """Return the converter. It encrypts if there is a keyring, and signs if there is a key.

    `payloads` is the payload converter of a worker, whose interceptor decodes payloads that have
    references to secrets.
    """
    codec: PayloadCodec | None = EncryptionCodec(keyring) if keyring else None
    if signing_key:
        codec = SigningCodec(signing_key, codec)
    failures = EncodedFinalArgumentErrors if keyring else FinalArgumentErrors
    if payloads:
        codec = UnresolvedCodec(codec)
    return DataConverter(
        payload_converter_class=payloads or DefaultPayloadConverter,
        payload_codec=codec,
        failure_converter_class=failures,
    )
