"""The authorization policy.

A token's scopes limit what it may be used for. A project belongs to a person or a group; the
deployment's rules let others read or control it. A project that the caller may not read answers
404.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.scopes import Scope

OWNER = "owner"
EVERYONE = "everyone"

NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
"""Valid owner names. They become folder names and are shown to others, so ASCII only."""


def owner_name(name: str) -> str:
    """Return the name. Raises ValueError if it is not a valid owner name."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid owner name: use letters, digits, . _ @ + -")
    return name


@dataclass(frozen=True)
class Person:
    """A signed-in person, until `expires_at` or until the token `token_id` is revoked."""

    name: str
    groups: frozenset[str] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    expires_at: datetime | None = None
    token_id: UUID | None = field(default=None, compare=False)

    @property
    def names(self) -> frozenset[str]:
        """The person's own name and those of their groups."""
        return self.groups | {self.name}

    @property
    def admin(self) -> bool:
        """Whether the person has the scope that allows everything."""
        return Scope.ADMIN in self.scopes

    def has(self, scope: Scope) -> bool:
        """Whether the sign-in includes this scope."""
        return self.admin or scope in self.scopes


LOCAL = Person("local", scopes=frozenset(Scope))
"""The person of every request if sign-in is off; may do everything."""


@dataclass(frozen=True)
class Rules:
    """Readers and controllers of projects: `owner`, `everyone`, or names of people and groups."""

    readers: frozenset[str] = frozenset({OWNER})
    controllers: frozenset[str] = frozenset({OWNER})

    @classmethod
    def of(cls, settings: ApiSettings) -> Rules:
        return cls(frozenset(settings.readers), frozenset(settings.controllers))

    def may(self, person: Person, scope: Scope, owner: str) -> bool:
        """Whether a person may read, control or create a project of this owner."""
        if person.admin:
            return True
        if scope not in person.scopes:
            return False
        match scope:
            case Scope.READ:
                # Controllers may also read.
                return self._named(self.readers | self.controllers, person, owner)
            case Scope.CONTROL:
                return self._named(self.controllers, person, owner)
            case Scope.CREATE:
                return owner in person.names
        return False

    def visible(self, person: Person) -> list[str] | None:
        """Return the owners whose projects a person may read; None for all."""
        everyone_s = self._named(self.readers | self.controllers, person, owner="")
        if person.admin or everyone_s:
            return None
        return sorted(person.names) if OWNER in self.readers | self.controllers else []

    @staticmethod
    def _named(rule: Iterable[str], person: Person, owner: str) -> bool:
        by_ownership = OWNER in rule and owner in person.names
        by_name = bool((set(rule) - {OWNER, EVERYONE}) & person.names)
        return by_ownership or by_name or EVERYONE in rule


@dataclass(frozen=True)
class Rule:
    """What a route requires: a scope (None for no sign-in), and with `project`, access to the
    project in its path.
    """

    scope: Scope | None
    project: bool = False


_PROJECT = "/api/projects/{project_id}"
_INITIALIZATION = f"{_PROJECT}/initialization"
_STEP = f"{_INITIALIZATION}/steps/{{step}}"

ROUTES: dict[tuple[str, str], Rule] = {
    ("GET", "/healthz"): Rule(None),
    ("GET", "/readyz"): Rule(None),
    ("GET", "/metrics"): Rule(Scope.READ),
    ("GET", "/api/session"): Rule(None),
    ("POST", "/api/session"): Rule(Scope.READ),
    ("DELETE", "/api/session"): Rule(None),
    ("POST", "/api/codec/encode"): Rule(Scope.ADMIN),
    ("POST", "/api/codec/decode"): Rule(Scope.ADMIN),
    ("GET", "/api/blueprints"): Rule(Scope.READ),
    ("GET", "/api/blueprints/{name}"): Rule(Scope.READ),
    ("GET", "/api/analytics/steps"): Rule(Scope.READ),
    ("GET", "/api/projects"): Rule(Scope.READ),
    ("POST", "/api/projects"): Rule(Scope.CREATE),
    ("GET", _PROJECT): Rule(Scope.READ, project=True),
    ("GET", _INITIALIZATION): Rule(Scope.READ, project=True),
    ("GET", f"{_INITIALIZATION}/steps"): Rule(Scope.READ, project=True),
    ("GET", f"{_INITIALIZATION}/history"): Rule(Scope.READ, project=True),
    ("GET", f"{_INITIALIZATION}/events"): Rule(Scope.READ, project=True),
    ("GET", f"{_INITIALIZATION}/estimate"): Rule(Scope.READ, project=True),
    ("GET", f"{_STEP}/attempts"): Rule(Scope.READ, project=True),
    ("GET", f"{_STEP}/logs"): Rule(Scope.READ, project=True),
    ("GET", f"{_STEP}/retry"): Rule(Scope.READ, project=True),
    ("POST", f"{_STEP}/retry"): Rule(Scope.CONTROL, project=True),
    ("POST", f"{_STEP}/skip"): Rule(Scope.CONTROL, project=True),
    ("GET", f"{_INITIALIZATION}/retry"): Rule(Scope.READ, project=True),
    ("POST", f"{_INITIALIZATION}/retry"): Rule(Scope.CONTROL, project=True),
    ("GET", f"{_INITIALIZATION}/cancel"): Rule(Scope.READ, project=True),
    ("POST", f"{_INITIALIZATION}/cancel"): Rule(Scope.CONTROL, project=True),
}
"""The rule of every route. The application does not start if one is missing."""
