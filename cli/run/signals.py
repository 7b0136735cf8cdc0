"""Ctrl-C that is always heard."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_AGAIN = 0.2
"""Seconds after which an interrupt is raised once more."""


@contextmanager
def heard_interrupts() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt in the block, again and again until the block is left.

    Python drops one that arrives while it runs a destructor or a weak reference's callback; the
    watching would then go on as if nobody had asked it to stop.
    """

    def interrupt(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGALRM)
    }
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
