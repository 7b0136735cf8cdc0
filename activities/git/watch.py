"""Ends a transfer that takes too long, is silent for too long, or is of a cancelled step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_EVERY = 0.5

Beat = Callable[[], None]
Cut = Callable[[], None]


@dataclass(frozen=True)
class Limits:
    """`silent`: seconds that a host may neither send nor take anything.

    `whole`: seconds that one transfer may take, whatever the host does.
    """

    silent: float = 60.0
    whole: float = 600.0


class TransferTimedOut(Exception):
    """A transfer that took too long. The text follows the host's name."""


def was_silent(limits: Limits) -> TransferTimedOut:
    """Return the error for a host that was silent for too long."""
    return TransferTimedOut(f"was silent for {limits.silent:.0f} s during a transfer of Git")


class Watch:
    """Cuts the connections of a transfer from a second thread, because reads of them block."""

    def __init__(self, beat: Beat, limits: Limits) -> None:
        self._beat = beat
        self.limits = limits
        self._waits_since: float | None = None
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._cuts: list[Cut] = []
        self._is_over = threading.Event()
        self.cause: Exception | None = None
        """Why the connections were cut; None if they were not."""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the host's silence while the context is open: it is to send or to take something.

        A connection that limits its silence itself does not use it.
        """
        self._waits_since = time.monotonic()
        try:
            yield
        finally:
            self._waits_since = None

    def on_end(self, cut: Cut) -> None:
        """Register how to cut a connection. Raises the cause if the transfer has ended already."""
        with self._lock:
            self._cuts.append(cut)
            if self.cause is None:
                return
        cut()
        raise self.cause

    def over(self) -> None:
        """End the watch; the transfer is over."""
        self._is_over.set()

    def run(self) -> None:
        """Watch until the transfer is over. For a thread."""
        while not self._is_over.wait(_EVERY):
            try:
                self._beat()
                self._check()
            except Exception as error:  # noqa: BLE001 - `watched` raises it
                with self._lock:
                    self.cause = error
                    cuts = list(self._cuts)
                for cut in cuts:
                    cut()
                return

    def _check(self) -> None:
        now, since = time.monotonic(), self._waits_since
        if since is not None and now - since > self.limits.silent:
            raise was_silent(self.limits)
        if now - self._begun > self.limits.whole:
            whole = f"{self.limits.whole:.0f} s"
            raise TransferTimedOut(f"did not finish a transfer of Git within {whole}")


@contextmanager
def watched(beat: Beat, limits: Limits) -> Iterator[Watch]:
    """Yield a watch of a transfer; it calls `beat`, which raises where the step is cancelled.

    Raises TransferTimedOut or what `beat` raises, in place of the error of the cut connection.
    """
    watch = Watch(beat, limits)
    thread = threading.Thread(target=watch.run, name="git-watch", daemon=True)
    thread.start()
    try:
        yield watch
    except BaseException as error:
        if watch.cause is None or error is watch.cause:
            raise
        raise watch.cause from error
    finally:
        watch.over()
        thread.join()
