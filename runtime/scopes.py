"""The scopes that tokens and sign-ins can have."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """A permission of a token or sign-in; `admin` allows everything, on all projects."""

    READ = "read"
    CREATE = "create"
    CONTROL = "control"
    ADMIN = "admin"
