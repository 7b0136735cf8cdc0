"""Which kind of Git host has which feature, from the table of the clients."""

from __future__ import annotations

from scripts.reference.tables import table
from stepway.hosts.access import HostKind
from stepway.hosts.features import FEATURE_NAMES, HOST_NAMES, NO, SUPPORT, YES

_KINDS = [kind for kind in HostKind if kind is not HostKind.LOCAL]


def features() -> str:
    """A row for each feature that not all hosts have as a matter of course; one for all others."""
    rows = {
        FEATURE_NAMES[feature]: [support.get(kind, NO) for kind in _KINDS]
        for feature, support in SUPPORT.items()
    }
    everywhere = [name for name, cells in rows.items() if set(cells) == {YES}]
    differing = [[name, *cells] for name, cells in rows.items() if name not in everywhere]
    last = [", ".join(everywhere), *[YES] * len(_KINDS)]
    return table(["Feature", *(HOST_NAMES[kind] for kind in _KINDS)], [*differing, last])
