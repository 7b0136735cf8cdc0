"""The scopes that tokens and sign-ins can have."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a person's token allows; `admin` allows all, on everyone's projects."""

    READ = "read"
    CREATE = "create"
    CONTROL = "control"
    ADMIN = "admin"
