"""Where the client commands write: tables and JSON to stdout, errors to stderr, questions."""

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

# Without a terminal there is no width to keep to: programs read whole lines.
_WIDE = 400


def console() -> Console:
    """Standard output. Colours only in a terminal, and not with NO_COLOR."""
    terminal = is_terminal()
    return Console(
        force_terminal=terminal,
        width=None if terminal else _WIDE,
        highlight=False,
        markup=False,
        emoji=False,
    )


def is_terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout.isatty()


def say(text: str) -> None:
    """One line to standard output, made safe to show."""
    console().print(Text(clean(redact(text))), soft_wrap=not is_terminal())


def say_error(text: object) -> None:
    """An error to standard error, made safe to show."""
    terminal = sys.stderr.isatty()
    errors = Console(stderr=True, force_terminal=terminal, highlight=False)
    errors.print(Text.assemble(("error: ", "red"), clean(redact(str(text)))), soft_wrap=True)


def print_json(value: Any) -> None:
    """The value as JSON to standard output."""
    typer.echo(json.dumps(redact_value(value), indent=2, ensure_ascii=False))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """A table to standard output; a cell that is a Text keeps its style."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def confirmed(question: str, yes: bool) -> bool:
    """Whether to go on: asks when a person sits at the terminal and `yes` was not given."""
    if yes or not (sys.stdin.isatty() and is_terminal()):
        return True
    return typer.confirm(question)


def _cell(value: object) -> Text:
    return (
        value
        if isinstance(value, Text)
        else Text(one_line("" if value is None else redact(str(value))))
    )
