"""Checks that the programs of the embedded servers are installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stepway.embedded.server import Server
from stepway.runtime.errors import ServerError
from stepway.runtime.setting_types import PREFIX

EXTRA = "stepway[embedded]"
WHEEL = "dist/stepway-….whl[embedded]"
NOT_ON_WINDOWS = ("valkey",)
"""Servers that the extra does not install on Windows."""


def require_installed(kinds: Sequence[type[Server]]) -> None:
    """Raise ServerError, with a text of one line, if the program of a server is missing."""
    missing = [kind for kind in kinds if kind.program() is None]
    if missing:
        raise ServerError(advice(missing))


def advice(missing: Sequence[type[Server]], platform: str = sys.platform) -> str:
    """What to install, or which settings to set instead, in one line."""
    absent = [kind for kind in missing if platform == "win32" and kind.name in NOT_ON_WINDOWS]
    installable = [kind for kind in missing if kind not in absent]
    sentences = [
        f"{kind.title} is not embedded on Windows: set {_variable(kind)} to the URL of a server"
        for kind in absent
    ]
    if installable:
        titles = _listed([kind.title for kind in installable])
        variables = _listed([_variable(kind) for kind in installable])
        be, s = ("is", "") if len(installable) == 1 else ("are", "s")
        sentences.append(
            f"{titles} {be} not installed: run `pip install '{EXTRA}'` or "
            f"`uv tool install '{EXTRA}'` (or the extra `embedded` of the wheel you installed, "
            f"for example '{WHEEL}'), or set {variables} to your own server{s}"
        )
    return "; ".join(sentences)


def _variable(kind: type[Server]) -> str:
    return PREFIX + kind.setting.upper()


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
