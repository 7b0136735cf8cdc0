"""The console script `stepway`. It imports the module of a command only to run it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from stepway.cli.client.errors import ClientError
from stepway.cli.view.output import say_error
from stepway.runtime.setting_types import SettingsError


class Entry(NamedTuple):
    """A command: its function or app as `module:name`, and its line in `stepway --help`."""

    target: str
    help: str


# In the order of `stepway --help`.
COMMANDS = {
    "up": Entry(
        "stepway.cli.commands.roles:up", "Run all of Stepway on this machine, in the foreground."
    ),
    "worker": Entry("stepway.cli.commands.roles:worker", "Run a worker."),
    "api": Entry("stepway.cli.commands.roles:api", "Serve the API and the page."),
    "migrate": Entry(
        "stepway.cli.commands.roles:migrate", "Bring the database and Temporal up to date."
    ),
    "demo": Entry(
        "stepway.cli.commands.demo:demo",
        "Start everything, create a sample project and follow it; then serve until Ctrl-C.",
    ),
    "create": Entry(
        "stepway.cli.commands.create:create", "Create a project and start its initialization."
    ),
    "watch": Entry(
        "stepway.cli.commands.watch:watch", "Follow an initialization live until it ends."
    ),
    "list": Entry("stepway.cli.commands.listing:list_projects", "List the projects, newest first."),
    "steps": Entry("stepway.cli.commands.listing:steps", "List the steps of an initialization."),
    "attempts": Entry(
        "stepway.cli.commands.listing:attempts", "List the attempts of a step, with their errors."
    ),
    "logs": Entry(
        "stepway.cli.commands.logs:logs", "Show the lines that the steps of a project have logged."
    ),
    "history": Entry("stepway.cli.commands.listing:history", "Show the history of a project."),
    "statistics": Entry(
        "stepway.cli.commands.statistics:statistics",
        "Show how often the steps of all projects ran and failed, and how long they took.",
    ),
    "retry": Entry(
        "stepway.cli.commands.controls:retry",
        "Retry a failed step and the steps that depend on it, or all failed steps.",
    ),
    "skip": Entry(
        "stepway.cli.commands.controls:skip",
        "Skip a failed step that the blueprint marks as optional.",
    ),
    "cancel": Entry("stepway.cli.commands.controls:cancel", "Cancel an initialization."),
    "token": Entry("stepway.cli.commands.token:app", "Create, list and revoke API tokens."),
    "credential": Entry(
        "stepway.cli.commands.credential:app", "Manage the credentials that steps use."
    ),
}


class LazyCommands(TyperGroup):
    """Imports a command's module when the command is called, so that `list` loads no Temporal.

    The help and the suggestions for misspelt names use empty commands with the same names.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that is called; also for `stepway CMD --help` and completion."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else None, rest


def load_command(name: str) -> Any:
    """Import the command's module and return the command."""
    module, _, function = COMMANDS[name].target.partition(":")
    found = getattr(import_module(module), function)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)


HELP = {"help_option_names": ["--help", "-h"]}

app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    # Local variables may contain a token.
    pretty_exceptions_show_locals=False,
    context_settings=HELP,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stepway {version('stepway')}")
        raise typer.Exit


@app.callback()
def stepway(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Initialize projects with durable workflows and follow every step live."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command. Errors that people can fix are printed in one line; the exit status is 1."""
    _run(partial(app, arguments))


def main_of(command: str, program: str) -> None:
    """Like `main`, for a program that is one command."""
    _run(partial(load_command(command), prog_name=program, **HELP))


def _run(called: Callable[[], Any]) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # On consoles that cannot encode ✓, print ? instead of failing.
            stream.reconfigure(errors="replace")
    try:
        called()
    except (ClientError, SettingsError) as error:
        say_error(error)
        sys.exit(1)
