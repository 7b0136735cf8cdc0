"""How a role is stopped: in an orderly way at the first signal, at once at the second.

Python's own signal handlers are used rather than the event loop's, because they also run while a
step blocks the loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any

import psutil
import typer

from stepway.cli.entry import SIGNALS

STOP_LIMIT = 25.0
"""Seconds from the first signal to the end of the process."""

CLOSE_LIMIT = 3.0
"""Seconds that remaining tasks and threads get after the role has ended."""

PRIVATE = 0o077
"""The umask of a role: its files are for its own user."""

_CHILDREN_GRACE = 1.0


class Stop:
    """Runs one role, and stops it at a signal within a time limit."""

    def __init__(self) -> None:
        self.limit = STOP_LIMIT
        self._requested = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._awaited = False
        self._signalled = False
        self._timer = threading.Timer(0, lambda: None)

    async def wait(self) -> None:
        """Return at the first signal. Until this is called, a signal cancels the role instead."""
        self._awaited = True
        await self._requested.wait()

    def run(
        self,
        role: Coroutine[Any, Any, None],
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
    ) -> None:
        """Run a role to its end; SIGTERM, Ctrl-C and the end of the terminal stop it.

        Returns normally after a signal. Raises what the role raises. What does not end within
        `limit` seconds of the signal, or CLOSE_LIMIT of the role's end, is left behind: the
        process then ends here, with status 0 or 1. A second signal ends it with status 128 + the
        signal's number.
        """
        # Other users of the machine must not read repositories and logs.
        mask = os.umask(PRIVATE)
        threads = set(threading.enumerate())
        before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        error: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                self._loop = runner.get_loop()
                try:
                    runner.run(self._supervised(role))
                except BaseException as raised:  # noqa: BLE001 - raised again below
                    error = None if self._is_stop(raised) else raised
                self._set_limit(CLOSE_LIMIT, error)
            if any(not each.daemon for each in set(threading.enumerate()) - threads):
                _leave(error)
        finally:
            self._timer.cancel()
            os.umask(mask)
            for number, handler in before.items():
                signal.signal(number, handler)
        if error:
            raise error

    def _is_stop(self, raised: BaseException) -> bool:
        return self._signalled and isinstance(raised, asyncio.CancelledError)

    async def _supervised(self, role: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.current_task()
        if self._signalled:
            role.close()
            return
        await role

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._signalled:
            end_at_once(128 + number)
        self._signalled = True
        self._set_limit(self.limit)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: everything has ended already
                self._loop.call_soon_threadsafe(self._request)

    def _request(self) -> None:
        if self._awaited:
            self._requested.set()
        elif self._task is not None:
            self._task.cancel()

    def _set_limit(self, seconds: float, error: BaseException | None = None) -> None:
        """End the process after so many seconds, whatever it waits for then."""
        self._timer.cancel()
        self._timer = threading.Timer(seconds, _leave, [error])
        self._timer.daemon = True
        self._timer.start()


def _leave(error: BaseException | None) -> None:
    """End the process although some of its work has not ended."""
    if error is None:
        _say("some work did not stop in time; it continues at the next start")
        end_at_once(0)
    elif isinstance(error, typer.Exit):
        end_at_once(error.exit_code)
    else:
        _say(str(error) or type(error).__name__)
        end_at_once(1)


def end_at_once(status: int) -> None:
    """End this process and its children without waiting for anything of its own.

    Servers and commands are asked to end first; Postgres then still writes its checkpoint.
    """
    with suppress(Exception):
        _end_children()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)


def _end_children() -> None:
    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.Error):
            # SIGINT: Postgres' own SIGTERM waits for every client to leave.
            child.send_signal(signal.SIGINT if child.name() == "postgres" else signal.SIGTERM)
    _, alive = psutil.wait_procs(children, timeout=_CHILDREN_GRACE)
    for child in alive:
        with suppress(psutil.Error):
            # Postgres may be writing its checkpoint; its start after a kill takes longer.
            if child.name() != "postgres":
                child.kill()


def _say(line: str) -> None:
    with suppress(Exception):
        print(f"stepway: {line}", file=sys.stderr, flush=True)
