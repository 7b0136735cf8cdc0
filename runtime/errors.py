"""The error for a server that cannot be used."""

from __future__ import annotations


class ServerError(Exception):
    """A server cannot be started or does not answer.

    The text is one line that says what to do; it contains no secret.
    """
