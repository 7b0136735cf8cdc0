"""Errors of the vault.

StepwayError
├── KeyMissing          the key is not among the settings; the text names it
├── Undecipherable      damaged, or moved from where it was encrypted
└── Unsigned            not sent with our signing key
"""

from __future__ import annotations

from stepway_tracking.record.errors import StepwayError


class KeyMissing(StepwayError):
    """This process does not have the key that the data was encrypted with."""


class Undecipherable(StepwayError):
    """The ciphertext is damaged, or is not in the place that it was encrypted for."""


class Unsigned(StepwayError):
    """The payload was not signed with this deployment's key."""
