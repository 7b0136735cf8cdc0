"""`scripts/demo`: everything on this machine, one real project, shown live."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from stepway.cli.commands.roles import run
from stepway.cli.run.roles import running_everything, until_stopped
from stepway.runtime.settings import Settings, load_settings

HOST = "127.0.0.1"
PORT = 8000


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop everything when the project is done.")
    ] = False,
) -> None:
    """Start everything, create a sample project and follow it; then serve until Ctrl-C.

    With --once: exits 0 when the project is active, 1 if it failed.
    """
    statuses: list[int] = []
    run(_demo(load_settings(), once, statuses))
    raise typer.Exit(statuses[0] if once and statuses else 0)


async def _demo(settings: Settings, once: bool, statuses: list[int]) -> None:
    typer.echo("Starting Postgres, Valkey, Temporal, a worker and the API ...")
    async with running_everything(settings, HOST, _port()) as serving:
        _show_urls(serving)
        stopped = asyncio.create_task(until_stopped())
        watching = asyncio.create_task(_create_and_watch(serving))
        await asyncio.wait([stopped, watching], return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            statuses.append(watching.result())
        if once or stopped.done():
            return
        typer.echo(
            "Still serving; press Ctrl-C to stop. Create another project: stepway create NAME"
        )
        await stopped


async def _create_and_watch(serving: Settings) -> int:
    """Do what a person would do in a second terminal; the exit status."""
    stepway = Path(sys.executable).with_name("stepway")
    name = f"demo-{datetime.now():%m%d-%H%M%S}"  # noqa: DTZ005 - a name people recognize
    child = await asyncio.create_subprocess_exec(
        stepway,
        "create",
        name,
        "--watch",
        env={**os.environ, "STEPWAY_API_URL": serving.api_url},
    )
    return await child.wait()


def _show_urls(serving: Settings) -> None:
    typer.echo(f"  page      {serving.api_url}")
    typer.echo(f"  API       {serving.api_url}/api/projects")
    if serving.temporal_ui_url:
        typer.echo(f"  Temporal  {serving.temporal_ui_url}")
    typer.echo(f"  data      {serving.data_dir}\n")


def _port() -> int:
    """The usual port, else any that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, PORT))
        except OSError:
            return 0
    return PORT


if __name__ == "__main__":
    from stepway.cli.main import main

    main(["demo", *sys.argv[1:]])
