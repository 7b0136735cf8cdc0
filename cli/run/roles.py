"""Context managers and functions behind `up`, `worker`, `api` and `migrate`."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import NAMESPACE_OID, uuid5

from stepway.activities.registry import Resources, load_steps
from stepway.api.app import create_app
from stepway.api.serving import listen, serving
from stepway.blueprints.arguments import KnownSteps, input_types
from stepway.cli.client.errors import ClientError
from stepway.embedded.servers import EmbeddedServers, check_reachable
from stepway.migrations.history import server_schema_problem
from stepway.migrations.upgrade import pending_migrations, upgrade_database
from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.runtime.temporal import connect_temporal
from stepway.worker import running_worker
from stepway.workflows.deployment import missing_in_temporal, prepare_temporal
from stepway_tracking.migrations.apply import Migration
from stepway_tracking.postgres import open_pool
from stepway_tracking.record.writable import write_problem


@asynccontextmanager
async def running_api(
    settings: Settings, host: str, port: int, *, allow_unauthenticated: bool = False
) -> AsyncIterator[str]:
    """Serve the API and the page while the context is open; yields the URL.

    Without sign-in it serves only the user of this process and root, or everybody if
    `allow_unauthenticated`.

    Raises ClientError if the address cannot be bound, BlueprintError for an invalid blueprint.
    """
    try:
        listener = listen(host, port)
    except OSError as error:
        where = f"{_shown(host)}:{port}"
        raise ClientError(f"--port {port}: cannot listen on {where}: {error.strerror}") from None
    own_user_only = not settings.sign_in and not allow_unauthenticated
    app = create_app(settings, known_steps(settings))
    async with serving(app, listener, own_user_only=own_user_only):
        yield f"http://{_shown(host)}:{listener.getsockname()[1]}"


@asynccontextmanager
async def running_everything(settings: Settings, host: str, port: int) -> AsyncIterator[Settings]:
    """Start the servers without a configured URL, migrate, and run a worker and the API.

    Yields the settings with all addresses filled in.
    """
    servers = EmbeddedServers(settings)
    async with servers as found:
        await check_reachable(found)
        # No older process uses an embedded Postgres: its folder is locked.
        await migrate_all(found, post="postgres" in servers.names)
        async with (
            servers.watched(),
            running_worker(found),
            running_api(found, host, port) as url,
        ):
            yield found.model_copy(update={"api_url": url})


async def migrate_all(settings: Settings, *, post: bool = False) -> list[Migration]:
    """Migrate the database and Temporal to this version. Idempotent.

    `post` also removes database objects that only older versions need. Returns the applied
    migrations. Raises SchemaError if this version cannot migrate the database.
    """
    applied = await upgrade_database(settings.database_url, post=post)
    client = await connect_temporal(settings)
    await prepare_temporal(client, settings.temporal_task_queue, await deployment_of(settings))
    return applied


async def to_migrate(settings: Settings) -> tuple[list[Migration], list[str]]:
    """Return the pending migrations of the database, and what Temporal lacks."""
    client = await connect_temporal(settings)
    missing = await missing_in_temporal(
        client, settings.temporal_task_queue, await deployment_of(settings)
    )
    return await pending_migrations(settings.database_url), missing


async def deployment_of(settings: Settings) -> str:
    """An id of the deployment, made from its database: the same after a migration."""
    async with await open_pool(settings.database_url, max_size=1) as pool:
        found = await pool.fetchrow(
            "SELECT system_identifier, current_database() AS name FROM pg_control_system()"
        )
    return str(uuid5(NAMESPACE_OID, f"{found['system_identifier']}/{found['name']}"))


async def require_schema(settings: Settings) -> None:
    """Raise ClientError, which says what to do, if the database cannot be used or written."""
    async with await open_pool(settings.database_url, max_size=1) as pool:
        problem = await server_schema_problem(pool) or await write_problem(pool)
    if problem:
        raise ClientError(problem)


def known_steps(settings: Settings) -> KnownSteps:
    """Return the input types of all steps, to check blueprints. Connects to no server."""
    resources = Resources(settings, open_engine(settings.sqlalchemy_url))
    return input_types(load_steps(resources))


def require_loopback(host: str, settings: Settings) -> None:
    """Raise ClientError if sign-in is off and other machines could reach the address."""
    if settings.sign_in:
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise ClientError(
            f"--host {host}: without sign-in, Stepway serves this machine only; use 127.0.0.1, "
            "set STEPWAY_SIGN_IN, or run `stepway api --allow-unauthenticated` behind a proxy "
            "that authenticates users"
        )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
