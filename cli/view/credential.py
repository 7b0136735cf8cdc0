"""The outcome of `stepway credential check`, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stepway.activities.credentials.checking import Checked
from stepway.cli.view.output import say
from stepway.cli.view.text import counted
from stepway.hosts.errors import HostError
from stepway.vault.kinds import Target

SOON = 14
"""Days before its expiry from which a credential counts as about to expire."""


@dataclass(frozen=True)
class CheckResult:
    """A credential that was tried: what its system said, or why it does not work."""

    name: str
    target: Target
    checked: Checked | None = None
    error: HostError | None = None


def as_object(result: CheckResult) -> dict[str, Any]:
    """Return the outcome as JSON; `lacks` has the missing scopes by feature."""
    said: dict[str, Any] = {
        "name": result.name,
        "kind": result.target.kind,
        "url": result.target.url or None,
        "works": result.error is None,
    }
    if result.error is not None:
        error = result.error
        return said | {
            "reason": error.reason.value,
            "error": error.message,
            "remedy": error.remedy or None,
        }
    checked = result.checked or Checked("")
    return said | {
        "asked": checked.asked,
        "account": checked.account,
        "account_kind": checked.account_kind or None,
        "scopes": None if checked.scopes is None else sorted(checked.scopes),
        "expires_at": checked.expires_at.isoformat() if checked.expires_at else None,
        "lacks": dict(checked.lacks),
    }


def print_result(result: CheckResult) -> None:
    """Print the outcome."""
    place = f" ({result.target.kind}{_at(result.target)})" if result.target.kind else ""
    if result.error is not None:
        say(f"✗ {result.name}{place} does not work: {result.error.message}")
        if result.error.remedy:
            say(f"  {result.error.remedy}")
        return
    checked = result.checked or Checked("")
    if not checked.asked:
        say(f"✓ {result.name} can be decrypted; without a kind, there is no system to try it on")
        return
    say(f"✓ {result.name}{place} works")
    for name, value in _lines(checked):
        say(f"  {name:<8}  {value}")


def _lines(checked: Checked) -> list[tuple[str, str]]:
    kind = f" ({checked.account_kind})" if checked.account_kind else ""
    lines = [("Account", f"{checked.account or 'not told'}{kind}")]
    if checked.scopes is not None:
        lines.append(("Scopes", ", ".join(sorted(checked.scopes)) or "none"))
    if checked.expires_at is not None:
        lines.append(("Expires", _expiry(checked.expires_at)))
    lines += [("Lacks", f"{', '.join(scopes)} for {what}") for what, scopes in _lacks(checked)]
    return lines


def _lacks(checked: Checked) -> list[tuple[str, list[str]]]:
    """The missing scopes, each set of them once, with all that it is missing for."""
    by_scopes: dict[tuple[str, ...], list[str]] = {}
    for feature, scopes in checked.lacks.items():
        by_scopes.setdefault(tuple(scopes), []).append(feature.replace("_", " "))
    return [(", ".join(features), list(scopes)) for scopes, features in by_scopes.items()]


def _expiry(at: datetime) -> str:
    days = (at - datetime.now(UTC)).days
    when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if days < SOON:
        return f"{when}: soon, in {counted(max(0, days), 'day')}; store a new one in time"
    return f"{when}, in {counted(days, 'day')}"


def _at(target: Target) -> str:
    return f" at {target.url}" if target.url else ""
