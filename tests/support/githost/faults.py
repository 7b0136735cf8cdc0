"""Faults that a test asks of the host."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from threading import Event, Lock

from tests.support.githost.answers import Answer

LONGEST_HOLD = 120.0
"""Seconds after which a request goes on that a test has forgotten."""


@dataclass(frozen=True)
class Hold:
    """A request that stops in the middle until the test lets it go on."""

    _reached: Event = field(default_factory=Event)
    _released: Event = field(default_factory=Event)

    def keep(self) -> None:
        """Stop. For the thread of the request."""
        self._reached.set()
        self._released.wait(LONGEST_HOLD)

    @property
    def reached(self) -> bool:
        """Whether the request has come."""
        return self._reached.is_set()

    def release(self) -> None:
        """Let the request go on, now or when it comes."""
        self._released.set()


@dataclass
class Fault:
    """What happens to requests whose `METHOD /path` the regular expression finds.

    The path is the whole one, with the API's prefix; Git's requests have theirs too
    (`POST /acme/shop.git/git-receive-pack`). `effect`: the request is carried out before its answer
    is replaced by `answer`, or is `lost` with the connection; of Git's, `most` bytes of it arrive.
    `hold` stops the request: with `effect` before it is answered, else before it is carried out.
    """

    pattern: str
    times: int = 1
    skip: int = 0
    delay: float = 0.0
    effect: bool = False
    answer: Answer | None = None
    lost: bool = False
    hold: Hold | None = None
    most: int | None = None
    met: int = 0
    """How often it has happened."""


class Faults:
    """The faults to come, in their order; the first that matches a request happens."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._all: list[Fault] = []

    def add(
        self,
        pattern: str,
        answer: Answer | None = None,
        *,
        times: int = 1,
        skip: int = 0,
        delay: float = 0.0,
        effect: bool = False,
        lost: bool = False,
        hold: Hold | None = None,
        most: int | None = None,
    ) -> Fault:
        """Let the next `times` matching requests, after the first `skip`, meet a fault."""
        fault = Fault(pattern, times, skip, delay, effect, answer, lost, hold, most)
        with self._lock:
            self._all.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._all.clear()

    def meet(self, line: str) -> Fault | None:
        """Return the fault that the request `METHOD /path` meets, and count it."""
        with self._lock:
            for fault in self._all:
                if fault.met >= fault.times or not re.search(fault.pattern, line):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.met += 1
                return fault
        return None


def html_page(status: int = 200) -> Answer:
    """A page in place of the API's JSON, as a proxy or a sign-in page answers."""
    return Answer(status, f"<html><body><h1>{status} Sign in</h1></body></html>")
