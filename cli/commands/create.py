"""`stepway create`: start an initialization."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import httpx
import typer

from stepway.cli.client.errors import AnswerLost, ApiRefused, ClientError
from stepway.cli.client.http import Api, Json, connect
from stepway.cli.client.parameters import Parameters, parse_pairs, schema_of, typed
from stepway.cli.commands.watch import watch_project
from stepway.cli.view.invocation import command
from stepway.cli.view.output import print_json, say
from stepway.cli.view.text import counted

BUILT_IN = "web-service"
"""The API's blueprint for projects that name none."""


def create(
    name: Annotated[str, typer.Argument(help="3–40 lowercase letters, digits or hyphens.")],
    blueprint: Annotated[
        str | None, typer.Option("--blueprint", "-b", help="Blueprint to use.")
    ] = None,
    param: Parameters = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow progress live.")] = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="A repeated key returns the same project. Default: a random key."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Create a project and start its initialization."""
    if watch and as_json:
        raise typer.BadParameter("--watch and --json cannot be combined")
    pairs = parse_pairs(param)
    api = connect()
    schema = schema_of(api, blueprint or BUILT_IN) if pairs else {}
    body: Json = {"name": name, "parameters": typed(pairs, schema)}
    if blueprint is not None:
        body["blueprint"] = blueprint
    started = _start(api, body, idempotency_key or str(uuid4()))
    project = started["project"]
    if as_json:
        print_json(started)
        return
    steps = counted(len(started["steps"]), "step")
    say(f"Started {project['name']} ({project['blueprint']}, {steps}, ID {project['id']})")
    if watch:
        raise typer.Exit(watch_project(api, project["id"]))
    say(f"Follow progress: {command('watch', project['name'])}")


def _start(api: Api, body: Json, key: str) -> Json:
    try:
        started: Json = api.post("/projects", body, headers={"Idempotency-Key": key})
    except AnswerLost as error:
        raise ClientError(f"{error}; {_again(key)}") from error
    except ApiRefused as error:
        if error.status != httpx.codes.SERVICE_UNAVAILABLE:
            raise
        raise ClientError(f"not confirmed in time: {error}\n  {_again(key)}") from error
    return started


def _again(key: str) -> str:
    return (
        "the project may have been created anyway; run the same command with "
        f"--idempotency-key {key} to find or create it"
    )
