"""Checks that the programs of the embedded servers are installed."""

from __future__ import annotations

from collections.abc import Sequence

from stepway.embedded.server import Server
from stepway.runtime.errors import ServerError
from stepway.runtime.setting_types import PREFIX

EXTRA = "stepway[embedded]"
WHEEL = "dist/stepway-….whl[embedded]"


def require_installed(kinds: Sequence[type[Server]]) -> None:
    """Raise ServerError, with a text of one line, if the program of a server is missing."""
    missing = [kind for kind in kinds if kind.program() is None]
    if missing:
        raise ServerError(advice(missing))


def advice(missing: Sequence[type[Server]]) -> str:
    """What to install, or which settings to set instead, in one line."""
    titles = _listed([kind.title for kind in missing])
    variables = _listed([_variable(kind) for kind in missing])
    be, s = ("is", "") if len(missing) == 1 else ("are", "s")
    return (
        f"{titles} {be} not installed: run `pip install '{EXTRA}'` or "
        f"`uv tool install '{EXTRA}'` (or the extra `embedded` of the wheel you installed, "
        f"for example '{WHEEL}'), or set {variables} to your own server{s}"
    )


def _variable(kind: type[Server]) -> str:
    return PREFIX + kind.setting.upper()


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
