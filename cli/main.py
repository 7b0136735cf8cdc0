"""The console script `stepway`: its commands, each imported only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli.errors import ClientError
from cli.output import say_error
from tracking.settings import SettingsError

# In the order of `stepway --help`.
COMMANDS = {
    "up": "cli.roles:up",
    "worker": "cli.roles:worker",
    "api": "cli.roles:api",
    "migrate": "cli.roles:migrate",
    "demo": "cli.demo:demo",
    "create": "cli.create:create",
    "watch": "cli.watch:watch",
    "list": "cli.listing:list_projects",
    "steps": "cli.listing:steps",
    "attempts": "cli.listing:attempts",
    "history": "cli.listing:history",
    "retry": "cli.controls:retry",
    "skip": "cli.controls:skip",
    "cancel": "cli.controls:cancel",
}


class LazyCommands(TyperGroup):
    """Imports a command's module when the command is called, so that `list` needs no Temporal."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name].partition(":")
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(getattr(import_module(module), function))
        return typer.main.get_command(alone)


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    # Locals may hold a token.
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stepway {version('stepway')}")
        raise typer.Exit


@app.callback()
def stepway(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """Project initialization as durable workflows, every step recorded and shown live."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the arguments name; errors people can mend are one line and exit 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # An old console that has no ✓ shows a ? rather than a stack.
            stream.reconfigure(errors="replace")
    try:
        app(arguments)
    except (ClientError, SettingsError) as error:
        say_error(error)
        sys.exit(1)
