"""What goes wrong with a server, said in one line that a person can act on."""

from __future__ import annotations


class ServerError(Exception):
    """A server cannot be started or does not answer; its text names what to do, never a secret."""
