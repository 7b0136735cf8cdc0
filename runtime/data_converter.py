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
from stepway.vault.unresolved import UnresolvedCodec, UnresolvedConverter
from stepway_tracking.worker.failure_converter import (
    EncodedFinalArgumentErrors,
    FinalArgumentErrors,
)


def data_converter(
    keyring: Keyring | None,
    signing_key: bytes | None = None,
    *,
    payloads: type[PayloadConverter] | None = None,
    references: bool = False,
) -> DataConverter:
    """Return the converter. It encrypts if there is a keyring, and signs if there is a key.

    `payloads` converts between values and JSON. With `references`, the interceptor of the worker
    decodes what has references to secrets.
    """
    codec: PayloadCodec | None = EncryptionCodec(keyring) if keyring else None
    if signing_key:
        codec = SigningCodec(signing_key, codec)
    failures = EncodedFinalArgumentErrors if keyring else FinalArgumentErrors
    if references:
        codec = UnresolvedCodec(codec)
    return DataConverter(
        payload_converter_class=payloads
        or (UnresolvedConverter if references else DefaultPayloadConverter),
        payload_codec=codec,
        failure_converter_class=failures,
    )
