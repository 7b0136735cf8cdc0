"""Reliable handling of Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_REPEAT = 0.2
"""Seconds after which an interrupt is raised again."""


@contextmanager
def persistent_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT, repeatedly until the block is left.

    Python discards an exception that is raised in a destructor or in a weak reference's callback,
    so a single KeyboardInterrupt could be lost.
    """

    def interrupt(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, _REPEAT)
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
