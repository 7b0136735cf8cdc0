"""Output of the commands: text, tables and JSON to stdout, errors to stderr; confirmations."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stepway.cli.view.text import clean, one_line
from stepway.vault.redaction import redact, redact_value

# Without a terminal do not wrap: programs read whole lines.
_WIDE = 400


def console() -> Console:
    """Return standard output; with colours in a terminal, unless NO_COLOR is set."""
    terminal = is_terminal()
    return Console(
        force_terminal=terminal,
        width=None if terminal else _WIDE,
        highlight=False,
        markup=False,
        emoji=False,
    )


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def has_colours() -> bool:
    """Whether standard output shows colours: a terminal, unless NO_COLOR is set."""
    found = console()
    return found.is_terminal and found.color_system is not None and not found.no_color


def say_aside(text: str) -> None:
    """Print a line that is no result to standard error."""
    typer.echo(clean(redact(text)), err=True)


def say(text: str) -> None:
    """Print a line, redacted and without terminal control characters."""
    console().print(Text(clean(redact(text))), soft_wrap=not is_terminal())


def say_error(text: object) -> None:
    """Print an error to standard error, redacted and without terminal control characters."""
    terminal = sys.stderr.isatty()
    errors = Console(stderr=True, force_terminal=terminal, highlight=False)
    errors.print(Text.assemble(("error: ", "red"), clean(redact(str(text)))), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print the value as JSON, redacted."""
    typer.echo(json.dumps(redact_value(value), indent=2, ensure_ascii=False))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table, redacted; a cell that is a Text keeps its style."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def can_ask() -> bool:
    """Whether there is a terminal to ask at; the question itself goes to standard error."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str, yes: bool) -> bool:
    """Ask for confirmation; return True without asking if `yes` is set or there is no terminal."""
    if yes or not can_ask():
        return True
    # What the question is about may have gone into a pipe.
    sys.stdout.flush()
    return typer.confirm(question, err=True)


def _cell(value: object) -> Text:
    return (
        value
        if isinstance(value, Text)
        else Text(one_line("" if value is None else redact(str(value))))
    )
