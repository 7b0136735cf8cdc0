"""Why a Git repository could not be read: names that two processes exchange."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Failure(StrEnum):
    """Why a repository could not be read."""

    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    UNAUTHORIZED = "unauthorized"
    PROXY = "proxy"
    """The proxy asks for a sign-in."""
    NOT_FOUND = "not_found"
    BUSY = "busy"
    """The host asks to wait, or has an error of its own."""
    REFUSED = "refused"
    NOT_GIT = "not_git"
    MOVED = "moved"
    NO_SSH = "no_ssh"
    HOST_KEY = "host_key"
    REF_MISSING = "ref_missing"
    COMMIT_MISSING = "commit_missing"
    EMPTY = "empty"
    NAME = "name"
    TREE = "tree"
    """An entry that no file, folder or link can be made of."""
    TOO_LARGE = "too_large"
    DISK = "disk"


class Failed(Exception):
    """A failure, with what is known about it."""

    def __init__(self, failure: Failure, **known: Any) -> None:
        super().__init__(failure)
        self.failure = failure
        self.known = known
