"""Lines for people: the addresses of a running Stepway, and commands for it."""

from __future__ import annotations

from pathlib import Path

from stepway.cli.view.invocation import command
from stepway.runtime.settings import Settings


def places(serving: Settings) -> list[str]:
    """Return a line each for the page, Temporal's UI and the data folder, if known."""
    rows = (
        ("page", serving.api_url),
        ("Temporal", serving.temporal_ui_url),
        ("data", str(serving.data_dir)),
    )
    return [row(name, where) for name, where in rows if where]


def row(name: str, text: str) -> str:
    """Return a line with a name and a text in columns."""
    return f"  {name:<10}{text}"


def client_command(
    settings: Settings, serving: Settings, *arguments: str, folder: Path | None = None
) -> str:
    """Return a command for a shell in `folder`.

    It sets STEPWAY_API_URL if the API does not serve at the address in `settings`.
    """
    called = command(*arguments, folder=folder)
    if serving.api_url == settings.api_url:
        return called
    return f"STEPWAY_API_URL={serving.api_url} {called}"
