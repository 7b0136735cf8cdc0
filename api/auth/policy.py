"""Who may: decided here and nowhere else.

A scope says what a token may be used for. A project's owner is a person or a group, and the
deployment's rules say who may read and control it besides. What one may not read is not there.
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
"""What an owner may be called: it names folders and is shown to others, so ASCII only."""


def owner_name(name: str) -> str:
    """The name itself. Raises ValueError where nothing can be owned by it."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid owner name: use letters, digits, . _ @ + -")
    return name


@dataclass(frozen=True)
class Person:
    """Whoever asks. `expires_at` is when the sign-in ends by itself, `token_id` what revokes it."""

    name: str
    groups: frozenset[str] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    expires_at: datetime | None = None
    token_id: UUID | None = field(default=None, compare=False)

    @property
    def names(self) -> frozenset[str]:
        """Everything that this person owns projects as."""
        return self.groups | {self.name}

    @property
    def admin(self) -> bool:
        """Whether everything is allowed."""
        return Scope.ADMIN in self.scopes

    def has(self, scope: Scope) -> bool:
        """Whether the sign-in may be used for this."""
        return self.admin or scope in self.scopes


LOCAL = Person("local", scopes=frozenset(Scope))
"""Without sign-in everybody on this machine is one person, who may do everything."""


@dataclass(frozen=True)
class Rules:
    """Who may read and control a project: `owner`, `everyone`, or names of people and groups."""

    readers: frozenset[str] = frozenset({OWNER})
    controllers: frozenset[str] = frozenset({OWNER})

    @classmethod
    def of(cls, settings: ApiSettings) -> Rules:
        """The rules of a deployment."""
        return cls(frozenset(settings.readers), frozenset(settings.controllers))

    def may(self, person: Person, scope: Scope, owner: str) -> bool:
        """Whether a person may read, control or make a project of this owner's."""
        if person.admin:
            return True
        if scope not in person.scopes:
            return False
        match scope:
            case Scope.READ:
                # Who may control a project may also see it.
                return self._named(self.readers | self.controllers, person, owner)
            case Scope.CONTROL:
                return self._named(self.controllers, person, owner)
            case Scope.CREATE:
                return owner in person.names
        return False

    def visible(self, person: Person) -> list[str] | None:
        """The owners whose projects a person may read; None for all of them."""
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
    """What a route asks for; `scope` None lets anybody in, `project` looks at the one it names."""

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
    ("GET", f"{_STEP}/retry"): Rule(Scope.READ, project=True),
    ("POST", f"{_STEP}/retry"): Rule(Scope.CONTROL, project=True),
    ("POST", f"{_STEP}/skip"): Rule(Scope.CONTROL, project=True),
    ("POST", f"{_INITIALIZATION}/retry"): Rule(Scope.CONTROL, project=True),
    ("POST", f"{_INITIALIZATION}/cancel"): Rule(Scope.CONTROL, project=True),
}
"""Every route's rule. A route without one is refused at the application's start."""
