"""Errors of the vault.

StepwayError
├── KeyMissing          the settings lack the key; the text names it
├── Undecipherable      the ciphertext is damaged or belongs to another place
├── CredentialRefused   the credential cannot be stored or used; the text says why
└── Unsigned            the signature is missing or not from our signing key
"""

from __future__ import annotations

from stepway_tracking.record.errors import StepwayError


class KeyMissing(StepwayError):
    """This process does not have the key of the ciphertext."""


class Undecipherable(StepwayError):
    """The ciphertext is damaged, or it was encrypted for another place."""


class CredentialRefused(StepwayError):
    """The credential cannot be stored or used; the text says why, and never contains the secret."""


class Unsigned(StepwayError):
    """The payload was not signed with this deployment's key."""
