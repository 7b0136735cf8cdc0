"""The two views of a running initialization: live in a terminal, a log elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from stepway.cli.client.fold import Initialization, Step
from stepway.cli.client.tails import Tails
from stepway.cli.view.live import picture, tailed
from stepway.cli.view.log import changes
from stepway.cli.view.words import TimeLeft, time_left
from stepway.vault.redaction import redact

_FRAMES_A_SECOND = 8


class ScreenView:
    """Redraws the view several times a second, so that clocks advance between events.

    With `tails`, the last lines of running steps are shown where there is room.
    """

    def __init__(self, console: Console, tails: Tails | None = None) -> None:
        self._console = console
        self._tails = tails
        self._state: Initialization | None = None
        self._left: TimeLeft | None = None
        self._connected = True
        self._live = Live(
            console=console,
            get_renderable=self._picture,
            refresh_per_second=_FRAMES_A_SECOND,
            transient=True,
        )

    def __enter__(self) -> ScreenView:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tails is not None:
            self._tails.stop()
        self._live.stop()

    def show(self, state: Initialization, left: TimeLeft | None = None) -> None:
        if self._tails is not None:
            self._tails.show(tailed(state, datetime.now(UTC), *self._console.size))
        self._state = state
        self._left = left

    def connected(self, connected: bool) -> None:
        self._connected = connected

    def _picture(self) -> RenderableType:
        if self._state is None:
            return Text()
        width, height = self._console.size
        now = datetime.now(UTC)
        return picture(self._state, now, width, height, self._connected, self._left, self._tail)

    def _tail(self, step: Step) -> list[str]:
        return [] if self._tails is None else [redact(line) for line in self._tails.lines(step)]


class LogView:
    """Writes a line for each change of status."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._state: Initialization | None = None
        self._connected = True
        self._wrote_left = False

    def __enter__(self) -> LogView:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: there is nothing to close."""

    def show(self, state: Initialization, left: TimeLeft | None = None) -> None:
        """Write the changes since the last state, and once the remaining time."""
        now = datetime.now(UTC)
        for line in changes(self._state, state, now):
            self._write(line)
        self._state = state
        if not self._wrote_left and (text := time_left(left, now)):
            self._write(f"          {text}")
            self._wrote_left = True

    def connected(self, connected: bool) -> None:
        """Write a line when the connection is lost, and one when it is restored."""
        if connected != self._connected:
            self._write("reconnected" if connected else "connection lost, reconnecting")
        self._connected = connected
