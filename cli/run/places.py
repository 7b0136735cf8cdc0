"""Where a running Stepway is, and commands for it, as lines that people read."""

from __future__ import annotations

from pathlib import Path

from stepway.cli.view.invocation import command
from stepway.runtime.settings import Settings


def places(serving: Settings) -> list[str]:
    """Where the page, Temporal's UI and the data are: a line each, without an unknown one."""
    rows = (
        ("page", serving.api_url),
        ("Temporal", serving.temporal_ui_url),
        ("data", str(serving.data_dir)),
    )
    return [row(name, where) for name, where in rows if where]


def row(name: str, text: str) -> str:
    """A line of these."""
    return f"  {name:<10}{text}"


def client_command(
    settings: Settings, serving: Settings, *arguments: str, folder: Path | None = None
) -> str:
    """The command for the shell in `folder`; it names the API where that is not at `settings`."""
    called = command(*arguments, folder=folder)
    if serving.api_url == settings.api_url:
        return called
    return f"STEPWAY_API_URL={serving.api_url} {called}"
