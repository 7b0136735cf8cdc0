"""Resources that the API shares between requests; opened once per process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.converter import PayloadCodec

from stepway.api.auth.limits import Limits
from stepway.api.auth.policy import Rules
from stepway.api.auth.signin import SignIn
from stepway.api.commands.boards import Boards
from stepway.api.commands.control import Commands
from stepway.api.commands.previews import Previews
from stepway.api.commands.records import Records
from stepway.api.commands.starting import Starts
from stepway.api.commands.updates import Updates
from stepway.api.readiness import Readiness
from stepway.api.waiting.watch import WorkerWatch
from stepway.blueprints.arguments import KnownSteps
from stepway.blueprints.catalog import Catalog
from stepway.blueprints.template_rules import TemplateRules
from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.data_converter import data_converter
from stepway.runtime.postgres import open_engine
from stepway.runtime.temporal import connect_temporal
from stepway.vault.keyring import open_keyring
from stepway.vault.payload_codec import EncryptionCodec
from stepway.vault.sealing import SealedParameters
from stepway.vault.vault import Vault
from stepway_tracking.logs.attempts import LoggedAttempts
from stepway_tracking.logs.hub import LogHub
from stepway_tracking.logs.store import LogStore
from stepway_tracking.postgres import close_pool, open_pool
from stepway_tracking.queries.projects import Listing
from stepway_tracking.queries.reader import Reader
from stepway_tracking.queries.statistics import Analytics, Durations
from stepway_tracking.stream.hub import Hub
from stepway_tracking.stream.options import HubOptions


@dataclass(frozen=True)
class AppResources:
    """Clients and readers that the routes share, in `app.state.resources`."""

    settings: ApiSettings
    catalog: Catalog
    pool: asyncpg.Pool
    engine: AsyncEngine
    temporal: Client
    reader: Reader
    listing: Listing
    analytics: Analytics
    hub: Hub
    log_hub: LogHub
    log_store: LogStore
    logged_attempts: LoggedAttempts
    records: Records
    durations: Durations
    starts: Starts
    commands: Commands
    previews: Previews
    sign_in: SignIn
    rules: Rules
    limits: Limits
    vault: Vault
    codec: PayloadCodec | None
    readiness: Readiness


@asynccontextmanager
async def open_resources(
    settings: ApiSettings,
    known_steps: KnownSteps | None = None,
    hub_options: HubOptions | None = None,
) -> AsyncIterator[AppResources]:
    """Open all resources; close them in reverse order when the context ends.

    No server has to be reachable: Postgres and Temporal are connected on first use, Redis in the
    background. Raises BlueprintError for an invalid blueprint.
    """
    rules = TemplateRules(
        settings.template_sources, settings.trusted_blueprints, settings.template_extensions
    )
    catalog = Catalog.load(settings.blueprints, known_steps, rules)
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.database_url)
        stack.push_async_callback(close_pool, pool)
        engine = open_engine(settings.sqlalchemy_url)
        stack.push_async_callback(engine.dispose)
        temporal = await connect_temporal(settings, lazy=True)
        reader = Reader(pool)
        keyring = open_keyring(settings.keys)
        # Postgres asks for a password: results need no signature there.
        records = Records(pool, data_converter(keyring))
        boards = Boards(records)
        durations = Durations(pool)
        updates = Updates(temporal, settings.temporal_task_queue, settings.public_url)
        hub = Hub(reader, settings.redis_url, hub_options)
        await hub.start()
        stack.push_async_callback(hub.close)
        log_store, logged_attempts = LogStore(pool, settings.log_blobs()), LoggedAttempts(pool)
        log_hub = LogHub(log_store, logged_attempts.outcome, settings.redis_url)
        log_hub.start()
        stack.push_async_callback(log_hub.close)
        readiness = Readiness(pool, temporal, settings.temporal_task_queue)
        stack.push_async_callback(readiness.close)
        watch = WorkerWatch(pool, temporal, settings.temporal_task_queue)
        watch.start()
        stack.push_async_callback(watch.close)
        yield AppResources(
            settings=settings,
            catalog=catalog,
            pool=pool,
            engine=engine,
            temporal=temporal,
            reader=reader,
            listing=Listing(pool),
            analytics=Analytics(pool),
            hub=hub,
            log_hub=log_hub,
            log_store=log_store,
            logged_attempts=logged_attempts,
            records=records,
            durations=durations,
            starts=Starts(updates, records, durations, catalog),
            commands=Commands(updates, records, boards, durations, SealedParameters(keyring)),
            previews=Previews(boards),
            sign_in=SignIn(settings, pool),
            rules=Rules.of(settings),
            limits=Limits(settings, pool),
            vault=Vault(engine, keyring),
            # It must not sign: workers would then trust whatever a person had encoded.
            codec=EncryptionCodec(keyring) if keyring else None,
            readiness=readiness,
        )
