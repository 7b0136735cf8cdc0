"""The option `--param KEY=VALUE` of the client commands."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeAlias

import typer

Parameters: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="KEY=VALUE",
        help="Set a parameter (repeatable). Parsed as JSON if valid, otherwise text.",
    ),
]


def parse_parameters(given: list[str] | None) -> dict[str, Any]:
    """Return the parameters by name; the last value of a repeated name wins.

    Raises typer.BadParameter if one is not KEY=VALUE.
    """
    parameters = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--param")
        parameters[name] = _value(value)
    return parameters


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_not_json)
    except ValueError:
        return text


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
