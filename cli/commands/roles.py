"""`stepway up`, `worker`, `api` and `migrate`: the server commands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from stepway.blueprints.errors import BlueprintError
from stepway.cli.client.errors import ClientError
from stepway.cli.run.gc import tune_garbage_collector
from stepway.cli.run.logs import log_to
from stepway.cli.run.places import client_command, places, row
from stepway.cli.run.roles import (
    migrate_all,
    require_loopback,
    require_schema,
    running_api,
    running_everything,
    to_migrate,
)
from stepway.cli.run.stopping import Stop
from stepway.embedded.servers import ServerError, check_reachable
from stepway.runtime.settings import Settings, load_settings
from stepway.worker import running_worker
from stepway_tracking.migrate import report
from stepway_tracking.record.errors import SchemaError

Host = Annotated[str, typer.Option(help="Address to serve on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 picks a free one.")]
Post = Annotated[
    bool,
    typer.Option(
        "--post", help="Also remove what only older versions need; stop their processes first."
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check", help="Change nothing; print what is to be done, and exit with 1 if anything is."
    ),
]
Unauthenticated = Annotated[
    bool,
    typer.Option("--allow-unauthenticated", help="Allow other machines and users without sign-in."),
]


def up(
    data_dir: Annotated[Path | None, typer.Option(help="Data folder. [default: .stepway]")] = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
) -> None:
    """Run all of Stepway on this machine, in the foreground.

    Postgres, Valkey and Temporal are each started only if no URL is set for them.
    """
    settings = load_settings()
    require_loopback(host, settings)
    if data_dir:
        settings = settings.model_copy(update={"data_dir": data_dir.expanduser().absolute()})
    stop = Stop()
    run(_up(settings, host, port, stop), stop)


def worker() -> None:
    """Run a worker."""
    stop = Stop()
    run(_worker(load_settings(), stop), stop)


def api(
    host: Host = "127.0.0.1", port: Port = 8000, allow_unauthenticated: Unauthenticated = False
) -> None:
    """Serve the API and the page."""
    settings = load_settings()
    if not allow_unauthenticated:
        require_loopback(host, settings)
    stop = Stop()
    run(_api(settings, host, port, stop, allow_unauthenticated=allow_unauthenticated), stop)


def migrate(post: Post = False, check: Check = False) -> None:
    """Bring the database and Temporal up to date.

    Processes of the version before keep working, until --post removes what only they need. An
    empty database gets everything.
    """
    run(_check(load_settings()) if check else _migrate(load_settings(), post=post))


def run(role: Coroutine[Any, Any, None], stop: Stop | None = None) -> None:
    """Run a role until it ends or is stopped by a signal.

    Raises ClientError for errors that an operator can fix.
    """
    log_to(logging.StreamHandler())
    try:
        (stop or Stop()).run(role, loop_factory())
    except (ServerError, BlueprintError, SchemaError) as error:
        raise ClientError(str(error)) from error


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return uvloop's factory of event loops."""
    return uvloop.new_event_loop


async def _up(settings: Settings, host: str, port: int, stop: Stop) -> None:
    async with running_everything(settings, host, port) as serving:
        tune_garbage_collector()
        # One write: a reader may close the pipe after the first line.
        typer.echo("\n".join((f"ready {serving.api_url}", *_hints(settings, serving))))
        await stop.wait()


def _hints(settings: Settings, serving: Settings) -> list[str]:
    """Return the lines with the addresses and a command to try."""
    return [
        *places(serving),
        row("try", client_command(settings, serving, "create", "my-service", "--watch")),
    ]


async def _worker(settings: Settings, stop: Stop) -> None:
    await check_reachable(settings)
    await require_schema(settings)
    async with running_worker(settings):
        typer.echo("worker ready")
        await stop.wait()


async def _api(
    settings: Settings, host: str, port: int, stop: Stop, *, allow_unauthenticated: bool
) -> None:
    await check_reachable(settings)
    await require_schema(settings)
    serving = running_api(settings, host, port, allow_unauthenticated=allow_unauthenticated)
    async with serving as url:
        tune_garbage_collector()
        typer.echo(f"ready {url}")
        await stop.wait()


async def _migrate(settings: Settings, *, post: bool) -> None:
    await check_reachable(settings)
    for migration in await migrate_all(settings, post=post):
        typer.echo(f"applied {migration}")
    await _report(settings)


async def _check(settings: Settings) -> None:
    await check_reachable(settings)
    if await _report(settings):
        raise typer.Exit(1)


async def _report(settings: Settings) -> bool:
    """Print the pending migrations; return whether there are any."""
    migrations, in_temporal = await to_migrate(settings)
    if not migrations and not in_temporal:
        typer.echo("The database and Temporal are up to date.")
        return False
    for line in report(migrations):
        typer.echo(line)
    for name in in_temporal:
        typer.echo(f"Temporal lacks {name}.")
    return True
