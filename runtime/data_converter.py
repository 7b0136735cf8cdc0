"""Temporal's data converter, with encryption, signatures and final errors for invalid arguments."""

from __future__ import annotations

from temporalio.converter import DataConverter, PayloadCodec

from stepway.vault.keyring import Keyring
from stepway.vault.payload_codec import EncryptionCodec
from stepway.vault.payload_signing import SigningCodec
from stepway.vault.unresolved import UnresolvedCodec, UnresolvedConverter
from stepway_tracking.worker.failure_converter import (
    EncodedFinalArgumentErrors,
    FinalArgumentErrors,
)


def data_converter(
    keyring: Keyring | None, signing_key: bytes | None = None, *, references: bool = False
) -> DataConverter:
    """Return the converter. It encrypts if there is a keyring, and signs if there is a key.

    With `references`, the interceptor of the worker decodes what has references to secrets.
    """
    codec: PayloadCodec | None = EncryptionCodec(keyring) if keyring else None
    if signing_key:
        codec = SigningCodec(signing_key, codec)
    failures = EncodedFinalArgumentErrors if keyring else FinalArgumentErrors
    if not references:
        return DataConverter(payload_codec=codec, failure_converter_class=failures)
    return DataConverter(UnresolvedConverter, UnresolvedCodec(codec), failures)
