"""`stepway watch`: follow an initialization until it ends."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Annotated, Protocol

import typer
from rich.console import RenderableType

from stepway.cli.client.errors import ClientError
from stepway.cli.client.estimate import Estimates
from stepway.cli.client.events import Event
from stepway.cli.client.events import follow as follow_events
from stepway.cli.client.fold import Gap, Initialization, fold, from_snapshot
from stepway.cli.client.http import Api, connect, step_path
from stepway.cli.client.tails import Tails
from stepway.cli.run.signals import persistent_interrupts
from stepway.cli.view.invocation import command
from stepway.cli.view.output import console, is_terminal, say
from stepway.cli.view.screen import LogView, ScreenView
from stepway.cli.view.summary import summary
from stepway.cli.view.words import TimeLeft, is_being_cancelled

INTERRUPTED = 130
_EXIT_CODES = {"failed": 1, "cancelled": 2}
_MOST_PREVIEWS = 10
"""Failed steps for which the API is asked what may be changed."""


class View(AbstractContextManager["View"], Protocol):
    """Displays a running initialization."""

    def show(self, state: Initialization, left: TimeLeft | None) -> None:
        """Display this state, and the remaining time if it is known."""

    def connected(self, connected: bool) -> None:
        """Display that the connection was lost or restored."""


def watch(
    project: Annotated[str, typer.Argument(help="Project ID or name.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep following after a failure.")
    ] = False,
    advice: Annotated[bool, typer.Option("--advice/--no-advice", hidden=True)] = True,
) -> None:
    """Follow an initialization live until it ends.

    Exits 0 when active, 1 on failure, 2 if cancelled.
    """
    api = connect()
    raise typer.Exit(watch_project(api, api.find(project), follow, advice))


def watch_project(api: Api, project_id: str, follow: bool = False, advice: bool = True) -> int:
    """Follow the initialization until it ends; return the exit status.

    `advice` prints how to watch it again after Ctrl-C.
    """
    state = _snapshot(api, project_id)
    view: View = LogView(say)
    if is_terminal():
        view = ScreenView(console(), Tails(api, project_id))
    try:
        with view, persistent_interrupts():
            state = _until_settled(api, state, view, follow)
    except KeyboardInterrupt:
        if advice:
            again = command("watch", state.project["name"])
            say(f"Stopped watching; the initialization continues. Watch it again: {again}")
        return INTERRUPTED
    console().print(_summary(api, state))
    return _EXIT_CODES.get(state.status, 0)


def _summary(api: Api, state: Initialization) -> RenderableType:
    project_id = str(state.project["id"])
    numbers, changeable = {}, {}
    # The end was seen: what cannot be read now is left out.
    with suppress(ClientError):
        numbers = api.attempt_numbers(project_id, state.steps.values())
        failed = [one for one in state.steps.values() if one["status"] == state.status == "failed"]
        for step in failed[:_MOST_PREVIEWS]:
            name = str(step["step"])
            changeable[name] = api.get(step_path(project_id, name, "retry")).get("parameters", [])
    return summary(state, datetime.now(UTC), numbers, changeable)


def _until_settled(api: Api, state: Initialization, view: View, follow: bool) -> Initialization:
    project_id = str(state.project["id"])
    estimates = Estimates(api, project_id)
    view.show(state, estimates.left(state))
    if _settled(state, follow):
        return state
    for event in follow_events(api, project_id, state.version, view.connected):
        state = _after(api, state, event)
        view.show(state, estimates.left(state))
        if _settled(state, follow):
            return state
    # It ended while disconnected, and the stream had no more events: read the final state.
    state = _snapshot(api, project_id)
    view.show(state, None)
    return state


def _after(api: Api, state: Initialization, event: Event) -> Initialization:
    try:
        return fold(state, event.type, event.data)
    except Gap:
        return _snapshot(api, str(state.project["id"]))


def _settled(state: Initialization, follow: bool) -> bool:
    waits = state.status == "failed" and not is_being_cancelled(state.project)
    return state.ended or (waits and not follow)


def _snapshot(api: Api, project_id: str) -> Initialization:
    return from_snapshot(api.initialization(project_id))
