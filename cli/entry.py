"""The console script `stepway`: handles signals from the beginning, then imports the commands.

The imports of a role take seconds on a slow machine, and a supervisor may stop it meanwhile.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The signals that stop a role."""

ROLES = {"up", "worker", "api", "demo"}
"""Commands that a signal stops with status 0."""


def main() -> None:
    """Run the command in sys.argv."""
    if sys.argv[1:2] and sys.argv[1] in ROLES:
        for number in SIGNALS:
            signal.signal(number, _leave)
    import_module("stepway.cli.main").main()


def _leave(*_: object) -> None:
    """End with the status of a stopped role; nothing has started yet."""
    os._exit(0)


if __name__ == "__main__":
    main()
