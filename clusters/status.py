"""The status of an object as controllers write it, read with care: any of it may be odd. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WAITING = "waiting for its controller"


@dataclass(frozen=True)
class Readiness:
    """`message` is the object's own; `failed`: it does not become ready without a change."""

    ready: bool
    failed: bool = False
    message: str = ""


def waiting(message: str) -> Readiness:
    """Return the state of an object that may become ready."""
    return Readiness(ready=False, message=message)


def failed(message: str) -> Readiness:
    """Return the state of an object that does not become ready without a change."""
    return Readiness(ready=False, failed=True, message=message)


@dataclass(frozen=True)
class Status:
    """An object's parts; what is not of the usual type is left out.

    `group` is empty for the core API. `fields` is the object's `status`, `conditions` are its
    conditions by type.
    """

    group: str
    kind: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    fields: Mapping[str, Any]
    conditions: Mapping[str, Mapping[str, Any]]

    @property
    def is_seen(self) -> bool:
        """Whether the status is not about an older generation."""
        generation = number(self.metadata, "generation")
        seen = number(self.fields, "observedGeneration")
        if seen is None:
            seen = number(self.conditions.get("Ready", {}), "observedGeneration")
        return seen is None or generation is None or seen >= generation

    @property
    def is_observed(self) -> bool:
        """Whether a controller has written which generation it has seen."""
        return number(self.fields, "observedGeneration") is not None

    def has(self, condition: str, status: str = "True") -> bool:
        """Whether a condition has this status."""
        return self.conditions.get(condition, {}).get("status") == status

    def reason(self, condition: str) -> str:
        """Return the reason of a condition; "" if there is none."""
        return text(self.conditions.get(condition, {}), "reason")

    def message(self, condition: str) -> str:
        """Return the reason and message of a condition, for people."""
        found = self.conditions.get(condition, {})
        return ": ".join(filter(None, (text(found, "reason"), text(found, "message"))))

    def count(self, name: str, default: int = 0) -> int:
        """Return a number in the status."""
        found = number(self.fields, name)
        return default if found is None else found

    def wanted(self, name: str, default: int) -> int:
        """Return a number in the spec."""
        found = number(self.spec, name)
        return default if found is None else found


def status_of(found: Mapping[str, Any]) -> Status:
    """Return the parts of an object from a cluster."""
    group, _, _ = text(found, "apiVersion").rpartition("/")
    fields = mapping(found, "status")
    entries = fields.get("conditions")
    conditions = {
        text(entry, "type"): entry
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping)
    }
    return Status(
        group,
        text(found, "kind"),
        mapping(found, "metadata"),
        mapping(found, "spec"),
        fields,
        conditions,
    )


def mapping(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an entry that is a mapping; an empty one if it is not."""
    value = found.get(name)
    return value if isinstance(value, Mapping) else {}


def number(found: Mapping[str, Any], name: str) -> int | None:
    """Return an entry that is a whole number; None if it is not."""
    value = found.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(found: Mapping[str, Any], name: str) -> str:
    """Return an entry that is a text; "" if it is not."""
    value = found.get(name)
    return value if isinstance(value, str) else ""
