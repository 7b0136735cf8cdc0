"""The commands, by Typer's documentation generator."""

from __future__ import annotations

import re

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from stepway.cli.main import COMMANDS, app, load_command


def commands() -> str:
    """A section for each command, with its arguments and options."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for name in COMMANDS:
        command = load_command(name)
        command.name = name
        root.commands[name] = command
    _do_not_cut(root)
    context = typer.Context(root, info_name="stepway")
    text = get_docs_for_click(obj=root, ctx=context, name="stepway", indent=1)
    # The section of the program itself repeats the page's introduction.
    return re.sub(r"^## `stepway`\n", "## All commands\n", text, count=1)


def _do_not_cut(group: TyperGroup) -> None:
    """Set the short help of each command; otherwise Typer cuts the first sentence in lists."""
    for command in group.commands.values():
        command.short_help = (command.help or "").partition("\n\n")[0]
        if isinstance(command, TyperGroup):
            _do_not_cut(command)
