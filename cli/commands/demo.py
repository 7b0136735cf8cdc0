"""`stepway demo`: runs everything on this machine and follows a sample project live."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import socket
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from stepway.blueprints.catalog import BUILT_IN
from stepway.cli.client.http import Api
from stepway.cli.commands.roles import run
from stepway.cli.commands.watch import INTERRUPTED
from stepway.cli.run.logs import log_to
from stepway.cli.run.places import client_command, places, row
from stepway.cli.run.roles import running_everything
from stepway.cli.run.stopping import Stop
from stepway.cli.view.output import is_terminal
from stepway.runtime.settings import Settings, load_settings

HOST = "127.0.0.1"
PORT = 8000
BLUEPRINTS = BUILT_IN / "demo"
BLUEPRINT = "demo"
EXIT_GRACE = 1.0
"""Seconds until `watch` gets SIGINT from here: Ctrl-C in a terminal reaches it directly."""


@dataclass(frozen=True)
class Demo:
    """The sample project. With `stays`, serve until Ctrl-C.

    `shell` is the current folder of the shell for which commands are printed.
    """

    settings: Settings
    blueprint: str
    parameters: dict[str, Any]
    shell: Path
    stays: bool

    @property
    def started_at(self) -> str:
        """Suffix that keeps the names of projects unique across demos."""
        return f"{datetime.now():%m%d-%H%M%S}"  # noqa: DTZ005 - people recognize local time


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop everything when the project is done.")
    ] = False,
    pace: Annotated[
        float,
        typer.Option(min=0.01, max=10, help="How long simulated steps take; 0.1 is a tenth."),
    ] = 1.0,
    called_from: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start everything, create a sample project and follow it; then serve until Ctrl-C.

    The project takes about 40 seconds: its repository is real, its longer steps are simulated.
    With --once it is a web service, which takes a few seconds; exits 0 when it is active, 1 if it
    failed.
    """
    settings = load_settings()
    settings = settings.model_copy(update={"blueprints": [*settings.blueprints, BLUEPRINTS]})
    shown = ("web-service", {}) if once else (BLUEPRINT, {"pace": pace})
    statuses: list[int] = []
    stop = Stop()
    run(_demo(Demo(settings, *shown, called_from or Path.cwd(), not once), statuses, stop), stop)
    raise typer.Exit(statuses[0] if once and statuses else 0)


async def _demo(demo: Demo, statuses: list[int], stop: Stop) -> None:
    typer.echo("Starting Postgres, Valkey, Temporal, a worker and the API ...")
    async with running_everything(demo.settings, HOST, _port()) as serving:
        typer.echo("\n".join(places(serving)))
        if is_terminal():
            _log_to_file(serving)
        stopped = asyncio.create_task(stop.wait())
        watching = asyncio.create_task(_create_and_watch(demo, serving))
        await asyncio.wait([stopped, watching], return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            statuses.append(watching.result())
        else:
            watching.cancel()
            await asyncio.wait([watching])
        if demo.stays:
            # Ctrl-C also reaches `watch`, which may end before this process gets the signal.
            if not stopped.done() and statuses[0] != INTERRUPTED:
                typer.echo(_next_steps(demo, serving))
            await stopped
        if stopped.done() or statuses == [INTERRUPTED]:
            typer.echo("Stopping. Unfinished projects continue at the next start.")


async def _create_and_watch(demo: Demo, serving: Settings) -> int:
    """Create the project and run `stepway watch`; return its exit status."""
    body = {
        "name": f"demo-{demo.started_at}",
        "blueprint": demo.blueprint,
        "parameters": demo.parameters,
    }
    api = Api(serving.api_url, serving.api_token)
    started = await asyncio.to_thread(api.post, "/projects", body)
    project = started["project"]["id"]
    typer.echo(row("project", f"{serving.api_url}/projects/{project}") + "\n")
    watching = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("stepway"),
        "watch",
        project,
        # Nobody can watch it again before the next start.
        "--no-advice",
        # Paths in the commands that it prints are relative to this folder.
        cwd=demo.shell,
        env={
            **os.environ,
            "STEPWAY_API_URL": serving.api_url,
            "STEPWAY_API_TOKEN": serving.api_token,
        },
    )
    try:
        return await watching.wait()
    except asyncio.CancelledError:
        await _interrupt(watching)
        raise


async def _interrupt(watching: asyncio.subprocess.Process) -> None:
    """End the `watch` process and wait, so that it can restore the terminal."""
    try:
        async with asyncio.timeout(EXIT_GRACE):
            await watching.wait()
    except TimeoutError:
        watching.send_signal(signal.SIGINT)
        await watching.wait()


def _log_to_file(serving: Settings) -> None:
    """Write the log to a file: in the terminal it would disturb the live view."""
    log = serving.data_dir / "logs" / "demo.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_to(logging.FileHandler(log), alone=True)
    typer.echo(row("log", str(log)))


def _next_steps(demo: Demo, serving: Settings) -> str:
    def command(*arguments: str) -> str:
        return client_command(demo.settings, serving, *arguments, folder=demo.shell)

    web_service, trial = f"shop-{demo.started_at}", f"trial-{demo.started_at}"
    parameters = ("--blueprint", BLUEPRINT, "--param", "pace=0.2", "--param", "broken=true")
    return f"""
Stepway serves until Ctrl-C. Try next, in another terminal:

  Create a web service:
    {command("create", web_service, "--watch")}
  Create a project whose deployment fails, then correct and retry it:
    {command("create", trial, *parameters, "--watch")}
    {command("retry", trial, "deploy", "--param", "broken=false")}
    {command("watch", trial)}

Everything is kept in the data folder. After Ctrl-C this removes it:
    rm -r {shlex.quote(str(serving.data_dir))}
"""


def _port() -> int:
    """Return the default port, or 0 (any free one) if it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, PORT))
        except OSError:
            return 0
    return PORT


if __name__ == "__main__":
    from stepway.cli.main import main_of

    main_of("demo", "scripts/demo")
